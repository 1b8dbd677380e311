// SPDX-License-Identifier: Apache-2.0
// Names, users and permissions of nodes, with the messages that management software knows.
#include "block-support.hpp"

#include "host/base/text.hpp"

#include <cerrno>

namespace outport::block::test {

namespace {

class Nodes : public BlockTest {
  protected:
    Nodes() : file_(1 << 20) {}
    std::string file_json(std::string_view name, std::string_view more = "") {
        return cat(R"({"driver":"file","filename":")", file_.path(), "\"",
                   name.empty() ? "" : R"(,"node-name":")", name, name.empty() ? "" : "\"", more, "}");
    }
    boost::json::array describe() {
        std::optional<boost::json::array> nodes;
        graph_->describe_nodes(false, [&](boost::json::array n) { nodes = std::move(n); });
        run_until([&] { return nodes.has_value(); });
        return *nodes;
    }
    TempFile file_;
};

TEST_F(Nodes, Names) {
    auto null = [&](std::string_view name) {
        return add(cat(R"({"driver":"null-co","node-name":")", name, "\"}"));
    };
    EXPECT_EQ(add(R"({"driver":"null-co"})"), "'node-name' must be specified for the root node");
    for (const char* bad : {"", "1a", "a,b", "#block1", "-a", "a b"})
        EXPECT_EQ(null(bad), cat("Invalid node-name: '", bad, "'"));
    EXPECT_EQ(null(std::string(32, 'a')), "Node name too long");
    EXPECT_EQ(null(std::string(31, 'a')), "");
    EXPECT_EQ(null("a.b-c_1"), "");
    EXPECT_EQ(null("a.b-c_1"), "Duplicate nodes with node-name='a.b-c_1'");
}

TEST_F(Nodes, ANameIsTakenWhileItsNodeIsBeingOpened) {
    std::optional<std::string> first, second;
    graph_->add(boost::json::parse(file_json("f")).as_object(),
                [&](Result<> r) { first = r ? "" : r.error().message; });
    graph_->add(boost::json::parse(R"({"driver":"null-co","node-name":"f"})").as_object(),
                [&](Result<> r) { second = r ? "" : r.error().message; });
    run_until([&] { return first && second; });
    EXPECT_EQ(*first, "");
    EXPECT_EQ(*second, "Duplicate nodes with node-name='f'");
}

TEST_F(Nodes, AChildsErrorComesBeforeItsParents) {
    EXPECT_EQ(add(R"({"driver":"raw","node-name":"a,b","file":{"driver":"file","filename":"/nowhere"}})"),
              "Could not open '/nowhere': No such file or directory");
    EXPECT_EQ(add(R"({"driver":"raw","node-name":"r","file":"nope"})"),
              "Cannot find device='nope' nor node-name='nope'");
    EXPECT_EQ(add(R"({"driver":"raw","node-name":"r","file":""})"), "Cannot find device='' nor node-name=''");
    EXPECT_EQ(add(cat(R"({"driver":"raw","node-name":"a,b","file":)", file_json(""), "}")),
              "Invalid node-name: 'a,b'");
    EXPECT_EQ(describe().size(), 0u) << "the child went again";
}

TEST_F(Nodes, InlineChildren) {
    ASSERT_EQ(add(cat(R"({"driver":"raw","node-name":"r","read-only":true,"cache":{"no-flush":true},"file":)",
                      file_json(""), "}")),
              "");
    auto nodes = describe();
    ASSERT_EQ(nodes.size(), 2u);
    EXPECT_EQ(nodes[0].at("node-name"), "r");
    std::string child(nodes[1].at("node-name").as_string());
    EXPECT_EQ(child.substr(0, 6), "#block");
    EXPECT_EQ(nodes[1].at("ro"), true) << "inherited";
    EXPECT_EQ(nodes[1].at("cache").at("no-flush"), true);
    EXPECT_TRUE(graph_->find(child)->options().unmap) << "an inline child leaves the decision to its parent";
    EXPECT_FALSE(graph_->find("r")->options().unmap);
    EXPECT_EQ(del(child), cat("Node ", child, " is not owned by the monitor"));
    EXPECT_EQ(del("r"), "");
    EXPECT_EQ(describe().size(), 0u);
}

TEST_F(Nodes, WhatAnInlineChildSaysItselfCounts) {
    ASSERT_EQ(add(cat(R"({"driver":"raw","node-name":"r","read-only":true,"file":)",
                      file_json("c", R"(,"read-only":false,"discard":"ignore")"), "}")),
              "");
    EXPECT_FALSE(graph_->find("c")->read_only());
    EXPECT_FALSE(graph_->find("c")->options().unmap);
    EXPECT_EQ(del("c"), "Node c is not owned by the monitor");
}

TEST_F(Nodes, DeletingInOrderOfTheChecks) {
    EXPECT_EQ(del("nope"), "Failed to find node with node-name='nope'");
    ASSERT_EQ(add(file_json("f")), "");
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"r","file":"f"})"), "");
    Root* root = attach("r");
    EXPECT_EQ(del("r"), "Node r is in use");
    EXPECT_EQ(del("f"), "Block device f is in use");
    detach(*root);
    EXPECT_EQ(del("r"), "");
    EXPECT_EQ(del("f"), "");
    EXPECT_EQ(del("f"), "Failed to find node with node-name='f'");
}

TEST_F(Nodes, ExportsOfNodesThatAreNotThere) {
    EXPECT_EQ(attach("zz"), nullptr);
    EXPECT_EQ(error, "Cannot find device='' nor node-name='zz'");
}

TEST_F(Nodes, AWindowKeepsTheSizeOfItsChild) {
    ASSERT_EQ(add(file_json("f")), "");
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"w","file":"f","offset":512})"), "");
    EXPECT_EQ(resize("f", 4096),
              "Permission conflict on node 'f': permissions 'resize' are both required by an unnamed "
              "block device (uses node 'f' as 'root' child) and unshared by node 'w' (uses node 'f' "
              "as 'file' child).");
    EXPECT_EQ(resize("w", 1024), "");
    EXPECT_EQ(file_.size(), 1536u);
    EXPECT_EQ(graph_->find("f")->size(), 1536u);
    EXPECT_EQ(graph_->find("w")->size(), 1024u);
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"x","file":"f","size":512})"), "");
    EXPECT_EQ(resize("x", 1024),
              "Permission conflict on node 'f': permissions 'resize' are both required by node 'x' "
              "(uses node 'f' as 'file' child) and unshared by node 'w' (uses node 'f' as 'file' "
              "child).");
    ASSERT_EQ(del("w"), "");
    EXPECT_EQ(resize("x", 1024), "Cannot resize fixed-size raw disks");
}

TEST_F(Nodes, ResizeErrors) {
    EXPECT_EQ(resize("zz", 1), "Cannot find device='' nor node-name='zz'");
    ASSERT_EQ(add(R"({"driver":"null-co","node-name":"n"})"), "");
    EXPECT_EQ(resize("n", 1024), "Image format driver does not support resize");
    ASSERT_EQ(add(file_json("f", R"(,"read-only":true)")), "");
    EXPECT_EQ(resize("f", 1024), "Image is read-only");
}

TEST_F(Nodes, Description) {
    ASSERT_EQ(add(file_json("f", R"(,"cache":{"direct":false},"detect-zeroes":"on")")), "");
    ASSERT_EQ(add(R"({"driver":"null-co","node-name":"n","size":1000})"), "");
    file_.write(0, std::string(65536, 'x'));
    auto nodes = describe();
    ASSERT_EQ(nodes.size(), 2u);
    auto& n = nodes[0].as_object();
    EXPECT_EQ(n.at("node-name"), "n");
    EXPECT_EQ(n.at("image").at("virtual-size").to_number<int>(), 1024);
    EXPECT_EQ(n.at("file"), R"(json:{"driver": "null-co", "size": 1000})");
    auto& f = nodes[1].as_object();
    EXPECT_EQ(f.at("file").as_string(), file_.path());
    EXPECT_EQ(f.at("drv"), "file");
    EXPECT_EQ(f.at("detect_zeroes"), "on");
    EXPECT_EQ(f.at("image").at("actual-size").to_number<std::uint64_t>(), file_.allocated());
    EXPECT_EQ(f.at("image").at("format-specific").at("type"), "file");
    EXPECT_EQ(f.at("image").at("dirty-flag"), false);
    for (const char* name :
         {"ro", "active", "encrypted", "backing_file_depth", "bps", "iops_wr", "write_threshold", "cache"})
        EXPECT_TRUE(f.contains(name)) << name;
}

TEST_F(Nodes, PowerLossLosesWhatWasNotFlushed) {
    ASSERT_EQ(add(file_json("f")), "");
    ASSERT_EQ(add(R"({"driver":"x-cache","node-name":"c","file":"f"})"), "");
    auto* queue = serve("c");
    EXPECT_EQ(write(queue, 100, "one"), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_FLUSH), 0);
    EXPECT_EQ(write(queue, 101, "two"), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 100, 1), 0);
    EXPECT_EQ(read(queue, 99, 6), std::string("\0\0two\0", 6));
    EXPECT_EQ(file_.read(99, 6), std::string("\0one\0\0", 6));
    auto lost = cache_power_loss(graph_->find("c")->driver());
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->dirty_bytes, 4u);
    EXPECT_EQ(read(queue, 99, 6), std::string("\0one\0\0", 6));
    EXPECT_EQ(write(queue, 200, "fua", OUTPORT_BLOCK_FUA), 0);
    EXPECT_EQ(file_.read(200, 3), "fua");
}

} // namespace

} // namespace outport::block::test
