// SPDX-License-Identifier: Apache-2.0
// Expected messages are qemu-storage-daemon 10.0.2's for the same mistake.
#include "tests/unit/schema-documents.hpp"

#include "host/schema/keyval.hpp"
#include "host/schema/numbers.hpp"
#include "host/schema/validator.hpp"

using namespace outport;
using namespace outport::test;
using schema::InputMode;

namespace {

class Validator : public RegistryTest {
  protected:
    void SetUp() override {
        RegistryTest::SetUp();
        ASSERT_EQ(refused(kNbd), "accepted");
    }
    static std::string shown(const Result<boost::json::object>& r) {
        return r ? json::to_string(*r) : r.error().message;
    }
    std::string json_call(std::string_view command, std::string_view arguments) {
        return shown(schema::validate_command(*registry.schema(), command, doc(arguments).get_object(),
                                              InputMode::Json));
    }
    std::string keyval_call(std::string_view command, std::string_view arguments) {
        auto parsed = schema::parse_keyval(arguments);
        if (!parsed)
            return parsed.error().message;
        return shown(schema::validate_command(*registry.schema(), command, *parsed, InputMode::Keyval));
    }
};

} // namespace

TEST_F(Validator, OrderAndDefaults) {
    EXPECT_EQ(json_call("export-add", "{'name':'n','id':'e','type':'nbd'}"),
              R"({"type": "nbd", "id": "e", "writable": false, "name": "n"})");
    EXPECT_EQ(json_call("server-start", "{'max':7,'addr':{'path':'/x','type':'unix'}}"),
              R"({"addr": {"type": "unix", "path": "/x"}, "max": 7})");
    EXPECT_EQ(
        json_call("scalars", "{'rules':[{'match':'a'},{'policy':'allow','match':'b'}]}"),
        R"({"size": 1073741824, "rules": [{"match": "a", "policy": "deny"}, {"match": "b", "policy": "allow"}]})");
    EXPECT_EQ(json_call("nothing", "{}"), "{}");
}

TEST_F(Validator, MissingAndWrongTypesFirstThenUnexpected) {
    EXPECT_EQ(json_call("export-add", "{'zz':1}"), "Parameter 'type' is missing");
    EXPECT_EQ(json_call("export-add", "{'zz':1,'type':'nbd'}"), "Parameter 'id' is missing");
    EXPECT_EQ(json_call("export-add", "{'zz':1,'type':'nbd','id':5}"),
              "Invalid parameter type for 'id', expected: string");
    EXPECT_EQ(json_call("export-add", "{'zz':1,'type':'nbd','id':null}"),
              "Invalid parameter type for 'id', expected: string");
    EXPECT_EQ(json_call("export-add", "{'zz':1,'type':'nbd','id':'e','name':7}"),
              "Invalid parameter type for 'name', expected: string");
    EXPECT_EQ(json_call("export-add", "{'zz':1,'type':'nbd','id':'e'}"), "Parameter 'zz' is unexpected");
    EXPECT_EQ(json_call("nothing", "{'zz':1}"), "Parameter 'zz' is unexpected");
    // The inner object is finished before the outer goes on.
    EXPECT_EQ(json_call("server-start", "{'addr':{'type':'unix','path':'/x','foo':1},'max':'a'}"),
              "Parameter 'addr.foo' is unexpected");
}

TEST_F(Validator, EnumsAndTags) {
    EXPECT_EQ(json_call("export-add", "{'type':'foo'}"), "Parameter 'type' does not accept value 'foo'");
    EXPECT_EQ(json_call("server-start", "{'addr':{'type':'nix'},'foo':1}"),
              "Parameter 'type' does not accept value 'nix'");
    EXPECT_EQ(json_call("server-start", "{'addr':{'type':'vsock'}}"),
              "Parameter 'type' does not accept value 'vsock'");
    EXPECT_EQ(json_call("server-start", "{'addr':{}}"), "Parameter 'addr.type' is missing");
    EXPECT_EQ(json_call("server-start", "{'addr':{'type':5}}"),
              "Invalid parameter type for 'addr.type', expected: string");
    EXPECT_EQ(json_call("server-start", "{'addr':[]}"),
              "Invalid parameter type for 'addr', expected: object");
    EXPECT_EQ(json_call("server-start", "{'addr':{'type':'inet','host':'h','port':5}}"),
              "Invalid parameter type for 'addr.port', expected: string");
    EXPECT_EQ(json_call("scalars", "{'policies':['deny','foo']}"),
              "Parameter 'null' does not accept value 'foo'");
    EXPECT_EQ(json_call("scalars", "{'policies':['deny',5]}"),
              "Invalid parameter type for 'policies[1]', expected: string");
    EXPECT_EQ(json_call("scalars", "{'rules':[{'match':'a','policy':'foo'}]}"),
              "Parameter 'policy' does not accept value 'foo'");
}

TEST_F(Validator, HintsForWhatIsAbsent) {
    ASSERT_TRUE(registry.remove_fragment("nbd"));
    auto args = doc("{'type':'nbd','id':'e'}");
    auto r = schema::validate_command(*registry.schema(), "export-add", args.get_object(), InputMode::Json);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message, "Parameter 'type' does not accept value 'nbd'");
    EXPECT_EQ(r.error().hint, "install outport-plugin-nbd");
    r = schema::validate_command(*registry.schema(), "nbd-start", {}, InputMode::Json);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message, "The command nbd-start has not been found");
    EXPECT_EQ(r.error().hint, "comes with the plugin nbd");
    EXPECT_EQ(r.error().error_class, ErrorClass::CommandNotFound);
}

TEST_F(Validator, JsonScalars) {
    auto one = [&](const char* member, const char* value) {
        std::string all = json_call("scalars", cat("{'", member, "':", value, "}"));
        return all;
    };
    EXPECT_EQ(one("i", "1.5"), "Invalid parameter type for 'i', expected: integer");
    EXPECT_EQ(one("i", "'5'"), "Invalid parameter type for 'i', expected: integer");
    EXPECT_EQ(one("i", "9223372036854775808"), "Invalid parameter type for 'i', expected: integer");
    EXPECT_EQ(one("i", "true"), "Invalid parameter type for 'i', expected: integer");
    EXPECT_EQ(one("i", "-9223372036854775808"), R"({"i": -9223372036854775808, "size": 1073741824})");
    EXPECT_EQ(one("u8", "255"), R"({"u8": 255, "size": 1073741824})");
    EXPECT_EQ(one("u8", "256"), "Parameter 'u8' expects uint8_t");
    EXPECT_EQ(one("i16", "-32769"), "Parameter 'i16' expects int16_t");
    EXPECT_EQ(one("i16", "32768"), "Parameter 'i16' expects int16_t");
    EXPECT_EQ(one("i16", "-32768"), R"({"i16": -32768, "size": 1073741824})");
    EXPECT_EQ(one("u32", "'foo'"), "Parameter 'u32' expects uint64");
    EXPECT_EQ(one("u32", "1.5"), "Parameter 'u32' expects uint64");
    EXPECT_EQ(one("u32", "-1"), "Parameter 'u32' expects uint32_t");
    EXPECT_EQ(one("u32", "4294967296"), "Parameter 'u32' expects uint32_t");
    EXPECT_EQ(one("u64", "18446744073709551616"), "Parameter 'u64' expects uint64");
    EXPECT_EQ(one("u64", "-1"), R"({"u64": 18446744073709551615, "size": 1073741824})");
    EXPECT_EQ(one("u64", "18446744073709551615"), R"({"u64": 18446744073709551615, "size": 1073741824})");
    EXPECT_EQ(one("size", "'1k'"), "Parameter 'size' expects uint64");
    EXPECT_EQ(one("u16s", "[1,65536]"), "Parameter 'null' expects uint16_t");
    EXPECT_EQ(one("n", "1"), R"({"size": 1073741824, "n": 1})");
    EXPECT_EQ(one("n", "'x'"), "Invalid parameter type for 'n', expected: number");
    EXPECT_EQ(one("b", "'on'"), "Invalid parameter type for 'b', expected: boolean");
    EXPECT_EQ(one("nul", "5"), "Invalid parameter type for 'nul', expected: null");
    EXPECT_EQ(one("nul", "null"), R"({"size": 1073741824, "nul": null})");
    EXPECT_EQ(one("any", "[1,{'x':null}]"), R"({"size": 1073741824, "any": [1, {"x": null}]})");
    EXPECT_EQ(one("names", "{}"), "Invalid parameter type for 'names', expected: array");
    EXPECT_EQ(one("names", "['a',5]"), "Invalid parameter type for 'names[1]', expected: string");
    EXPECT_EQ(one("rules", "[{'match':'a'},{}]"), "Parameter 'rules[1].match' is missing");
    EXPECT_EQ(one("rules", "[{'match':'a','x':1}]"), "Parameter 'rules[0].x' is unexpected");
}

TEST_F(Validator, Alternates) {
    EXPECT_EQ(json_call("scalars", "{'ref':5}"), "Invalid parameter type for 'ref', expected: Ref");
    EXPECT_EQ(json_call("scalars", "{'refs':['a',5]}"), "Invalid parameter type for 'null', expected: Ref");
    EXPECT_EQ(json_call("scalars", "{'ref':'a','refs':[{'type':'unix','path':'p'},'b']}"),
              R"({"size": 1073741824, "refs": [{"type": "unix", "path": "p"}, "b"], "ref": "a"})");
    EXPECT_EQ(json_call("scalars", "{'refs':['a',{'type':'unix','path':5}]}"),
              "Invalid parameter type for 'refs[1].path', expected: string");
    EXPECT_EQ(json_call("scalars", "{'ref':{'type':'unix','path':'p','q':1}}"),
              "Parameter 'ref.q' is unexpected");
}

TEST_F(Validator, Keyval) {
    EXPECT_EQ(keyval_call("scalars", "i=0x10,u8=7,b=yes,size=2k,n=1.5,names.0=a,names.1=b"),
              R"({"i": 16, "u8": 7, "size": 2048, "n": 1.5, "b": true, "names": ["a", "b"]})");
    EXPECT_EQ(keyval_call("scalars", "i=1M"), "Parameter 'i' expects integer");
    EXPECT_EQ(keyval_call("scalars", "i=010"), R"({"i": 8, "size": 1073741824})");
    EXPECT_EQ(keyval_call("scalars", "i="), "Parameter 'i' expects integer");
    EXPECT_EQ(keyval_call("scalars", "u32=abc"), "Parameter 'u32' expects integer");
    EXPECT_EQ(keyval_call("scalars", "u32=99999999999"), "Parameter 'u32' expects uint32_t");
    EXPECT_EQ(keyval_call("scalars", "size=1Q"), "Parameter 'size' expects size");
    EXPECT_EQ(keyval_call("scalars", "b=maybe"), "Parameter 'b' expects 'on' or 'off'");
    EXPECT_EQ(keyval_call("scalars", "i.x=1"), "Parameters 'i.*' are unexpected");
    EXPECT_EQ(keyval_call("scalars", "names=a"), "Invalid parameter type for 'names', expected: array");
    EXPECT_EQ(keyval_call("scalars", "rules.0.match=a,rules.1.policy=deny"),
              "Parameter 'rules.1.match' is missing");
    EXPECT_EQ(keyval_call("scalars", "refs.0=a,refs.1.type=unix,refs.1.path=p"),
              R"({"size": 1073741824, "refs": ["a", {"type": "unix", "path": "p"}]})");
    EXPECT_EQ(keyval_call("scalars", "ref.0=a,ref.1=b"), "Invalid parameter type for 'ref', expected: Ref");
    EXPECT_EQ(keyval_call("scalars", "foo.bar=1"), "Parameter 'foo' is unexpected");
    EXPECT_EQ(keyval_call("server-start", "addr=x"), "Invalid parameter type for 'addr', expected: object");
    EXPECT_EQ(keyval_call("server-start", "addr.type=inet,addr.host=x"), "Parameter 'addr.port' is missing");
    EXPECT_EQ(keyval_call("server-start", "addr.type=unix,addr.path.0=x"),
              "Parameters 'addr.path.*' are unexpected");
    EXPECT_EQ(keyval_call("server-start", "addr.type=foo"), "Parameter 'type' does not accept value 'foo'");
}

TEST_F(Validator, OptionsAndEvents) {
    auto value = doc("{'type':'nbd','id':'e'}");
    EXPECT_EQ(
        shown(schema::validate_option(*registry.schema(), "export", value.get_object(), InputMode::Json)),
        R"({"type": "nbd", "id": "e", "writable": false})");
    EXPECT_EQ(
        shown(schema::validate_event(*registry.schema(), "EXPORT_DELETED", doc("{'path':'p'}").get_object())),
        R"({"path": "p"})");
    EXPECT_EQ(shown(schema::validate_event(*registry.schema(), "EXPORT_DELETED", {})),
              "Parameter 'path' is missing");
    EXPECT_EQ(shown(schema::validate_event(*registry.schema(), "NOPE", {})), "there is no event 'NOPE'");
}

TEST_F(Validator, DeepInput) {
    std::string deep = "5";
    for (int i = 0; i < 1000; i++)
        deep = "[" + deep + "]";
    EXPECT_EQ(json_call("scalars", "{'any':" + deep + "}").substr(0, 40),
              R"({"size": 1073741824, "any": [[[[[[[[[[[[)");
}

TEST(Numbers, Sizes) {
    const std::pair<const char*, std::uint64_t> good[] = {{"0", 0},
                                                          {"12345", 12345},
                                                          {"1B", 1},
                                                          {"1k", 1024},
                                                          {"1K", 1024},
                                                          {"3M", 3 << 20},
                                                          {"2G", 2ull << 30},
                                                          {"1T", 1ull << 40},
                                                          {"1P", 1ull << 50},
                                                          {"15E", 15ull << 60},
                                                          {"1.5k", 1536},
                                                          {".5k", 512},
                                                          {"1.0", 1},
                                                          {"0x10", 16},
                                                          {"18446744073709551615", UINT64_MAX}};
    for (auto [text, value] : good) {
        std::uint64_t n = 0;
        EXPECT_TRUE(schema::parse_size(text, n)) << text;
        EXPECT_EQ(n, value) << text;
    }
    for (const char* text :
         {"", "k", "1.5", "1.5B", "1kk", "-1", "1 k", "0x10k", "16E", "18446744073709551616", "1e3", "."}) {
        std::uint64_t n = 0;
        EXPECT_FALSE(schema::parse_size(text, n)) << text;
    }
}
