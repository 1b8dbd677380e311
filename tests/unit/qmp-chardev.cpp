// SPDX-License-Identifier: Apache-2.0
// Expected messages are qemu-storage-daemon 10.0.2's for the same text.
#include "host/base/text.hpp"
#include "host/qmp/chardev.hpp"

#include <gtest/gtest.h>

using namespace outport;
using qmp::ChardevOptions;

namespace {

std::vector<std::string> warnings;
bool help;

std::string parsed(std::string_view text) {
    warnings.clear();
    auto r = qmp::parse_chardev(text, warnings, help);
    if (!r)
        return r.error().message;
    auto yes = [](bool b) { return b ? "on" : "off"; };
    switch (r->backend) {
    case ChardevOptions::Backend::Socket:
        return cat("socket ", r->id, " ", r->label(), " wait=", yes(r->wait));
    case ChardevOptions::Backend::Stdio:
        return cat("stdio ", r->id, " signal=", yes(r->signal));
    default:
        return cat("null ", r->id);
    }
}

} // namespace

TEST(Chardev, Good) {
    EXPECT_EQ(parsed("socket,id=a,path=/x,server=on,wait=off"), "socket a unix:/x,server=on wait=off");
    EXPECT_EQ(parsed("socket,id=a,path=/x,,y,server=on"), "socket a unix:/x,y,server=on wait=on");
    EXPECT_EQ(parsed("socket,id=a,path=x=y"), "socket a unix:x=y wait=on");
    EXPECT_EQ(parsed("socket,id=a,host=h,port=1"), "socket a tcp:h:1 wait=on");
    EXPECT_EQ(parsed("socket,id=a,fd=3,server=yes"), "socket a fd:3,server=on wait=on");
    EXPECT_EQ(parsed("stdio,id=a"), "stdio a signal=on");
    EXPECT_EQ(parsed("stdio,id=a,signal=off,"), "stdio a signal=off");
    EXPECT_EQ(parsed("backend=null,id=a"), "null a");
    EXPECT_EQ(parsed("null,id=a,path=/x"), "null a"); // another back end's option
    EXPECT_EQ(parsed("null,id=a,backend=stdio"), "stdio a signal=on");
    EXPECT_EQ(parsed("null,id=a,id=b"), "null a");
    EXPECT_TRUE(warnings.empty());
}

TEST(Chardev, ShortForms) {
    EXPECT_EQ(parsed("socket,id=a,path=/x,server,nowait"), "socket a unix:/x,server=on wait=off");
    EXPECT_EQ(warnings, (std::vector<std::string>{
                            "short-form boolean option 'server' deprecated\nPlease use server=on instead",
                            "short-form boolean option 'nowait' deprecated\nPlease use wait=off instead"}));
}

TEST(Chardev, Mistakes) {
    EXPECT_EQ(parsed(""), "chardev: no id specified");
    EXPECT_EQ(parsed("socket,path=/x"), "chardev: no id specified");
    EXPECT_EQ(parsed("id=a"), "chardev: \"a\" missing backend");
    EXPECT_EQ(parsed("foo,id=a"), "'foo' is not a valid char driver name");
    EXPECT_EQ(parsed("socket,id=a,path=/x,foo=1"), "Invalid parameter 'foo'");
    EXPECT_EQ(parsed("null,id=a,x"), "Invalid parameter 'x'");
    EXPECT_EQ(parsed("null,id=a,nox"), "Invalid parameter 'x'");
    EXPECT_EQ(parsed("socket,id=1a,path=/x"), "Parameter 'id' expects an identifier");
    EXPECT_EQ(parsed("socket,id=a,path=/x,server=maybe"), "Parameter 'server' expects 'on' or 'off'");
    EXPECT_EQ(parsed("stdio,id=a,signal=x"), "Parameter 'signal' expects 'on' or 'off'");
    EXPECT_EQ(parsed("socket,id=a,path=/x,host=h,port=1"),
              "None or one of 'path', 'fd' or 'host' option required.");
    EXPECT_EQ(parsed("socket,id=a,host=h,server=on"), "chardev: socket: no port given");
    EXPECT_EQ(parsed("socket,id=a,path=/x,wait=off"),
              "'wait' option is incompatible with socket in client connect mode");
}

TEST(Chardev, Help) {
    for (const char* text : {"help", "?", "socket,help", "help,id=a"}) {
        parsed(text);
        EXPECT_TRUE(help) << text;
    }
    parsed("help=x,id=a");
    EXPECT_FALSE(help);
    EXPECT_NE(qmp::chardev_help().find("  socket\n"), std::string::npos);
}
