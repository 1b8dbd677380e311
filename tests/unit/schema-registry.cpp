// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/schema-documents.hpp"

#include "host/schema/validator.hpp"

#include <algorithm>
#include <random>

using namespace outport;
using namespace outport::test;

namespace {

void replace(std::string& text, std::string_view what, std::string_view with) {
    std::size_t at = text.find(what);
    ASSERT_NE(at, text.npos) << what;
    text.replace(at, what.size(), with);
}

std::string changed(std::string_view text, std::string_view what, std::string_view with) {
    std::string copy(text);
    replace(copy, what, with);
    return copy;
}

std::string introspected(const schema::Registry& r) {
    return json::to_string(*r.introspection());
}

} // namespace

TEST_F(RegistryTest, PluginComesAndGoes) {
    EXPECT_EQ(values("ExportType"), "");
    EXPECT_FALSE(registry.schema()->command("nbd-start"));
    const std::string before = introspected(registry);
    auto old_schema = registry.schema();
    ASSERT_EQ(refused(kNbd), "accepted");
    EXPECT_EQ(values("ExportType"), "nbd");
    EXPECT_TRUE(registry.schema()->command("nbd-start"));
    EXPECT_TRUE(registry.schema()->option("nbd"));
    EXPECT_TRUE(registry.schema()->symbol("CONFIG_NBD"));
    EXPECT_NE(introspected(registry), before);
    EXPECT_FALSE(old_schema->command("nbd-start")); // what others hold does not change
    ASSERT_TRUE(registry.remove_fragment("nbd"));
    EXPECT_EQ(introspected(registry), before);
    EXPECT_FALSE(registry.schema()->symbol("CONFIG_NBD"));
    EXPECT_FALSE(registry.remove_fragment("nbd"));
    EXPECT_FALSE(registry.remove_fragment("base"));
}

TEST_F(RegistryTest, OrderDoesNotDependOnLoading) {
    std::vector<std::string> fragments{tiny_fragment("ddd", "50"), tiny_fragment("ccc", "100"),
                                       tiny_fragment("bbb", ""), tiny_fragment("aaa", "")};
    std::sort(fragments.begin(), fragments.end());
    std::string first;
    do {
        schema::Registry r({}, names());
        ASSERT_TRUE(r.load_base(doc(kBase)));
        for (const auto& f : fragments)
            ASSERT_TRUE(r.add_fragment(doc(f)));
        std::string all;
        for (const auto& v : r.schema()->type("ExportType")->values)
            all += v.name + " ";
        EXPECT_EQ(all, "ddd ccc aaa bbb ");
        if (first.empty())
            first = introspected(r);
        EXPECT_EQ(introspected(r), first);
    } while (std::next_permutation(fragments.begin(), fragments.end()));
}

TEST_F(RegistryTest, Conditions) {
    EXPECT_EQ(values("AddressType"), "inet unix");
    EXPECT_FALSE(registry.schema()->command("vsock-only"));
    EXPECT_EQ(introspected(registry).find("vsock"), std::string::npos);
    EXPECT_EQ(introspected(registry).find("\"cid\""), std::string::npos);

    schema::Registry with({"CONFIG_VSOCK"}, names());
    ASSERT_TRUE(with.load_base(doc(kBase)));
    EXPECT_TRUE(with.schema()->command("vsock-only"));
    EXPECT_NE(introspected(with).find("\"cid\""), std::string::npos);
}

TEST_F(RegistryTest, CombinedConditions) {
    auto holds = [&](std::string_view condition, std::vector<std::string> symbols) {
        schema::Registry r(std::move(symbols), names());
        auto loaded =
            r.load_base(doc(cat("{'format':1,'fragment':'base','commands':{'c':{'if':", condition, "}}}")));
        EXPECT_TRUE(loaded) << loaded.error().message;
        return r.schema()->command("c") != nullptr;
    };
    EXPECT_TRUE(holds("{'not':'A'}", {}));
    EXPECT_FALSE(holds("{'not':'A'}", {"A"}));
    EXPECT_TRUE(holds("{'all':['A','B']}", {"A", "B"}));
    EXPECT_FALSE(holds("{'all':['A','B']}", {"A"}));
    EXPECT_TRUE(holds("{'any':['A','B']}", {"B"}));
    EXPECT_FALSE(holds("{'any':['A','B']}", {"C"}));
    EXPECT_TRUE(holds("{'all':['A',{'not':{'any':['B','C']}}]}", {"A"}));
    EXPECT_FALSE(holds("{'all':['A',{'not':{'any':['B','C']}}]}", {"A", "C"}));
}

TEST_F(RegistryTest, ClashLeavesAllAsItWas) {
    ASSERT_EQ(refused(kNbd), "accepted");
    const std::string before = introspected(registry);
    auto generation = registry.generation();
    EXPECT_EQ(refused(kNbd), "a schema document named 'nbd' is loaded already");
    EXPECT_EQ(refused(changed(kNbd, "'fragment': 'nbd'", "'fragment': 'nbd2'")),
              "schema document 'nbd2': type 'NbdOptions' is defined by 'nbd' already");
    std::string other = changed(tiny_fragment("aaa", ""), "'name': 'aaa'", "'name': 'nbd'");
    EXPECT_EQ(refused(other), "schema document 'aaa': 'ExportType' has a value 'nbd' already");
    other = changed(tiny_fragment("aaa", ""), "'case': 'aaa'", "'case': 'nbd'");
    EXPECT_EQ(refused(other), "schema document 'aaa': 'ExportOptions' has a branch 'nbd' already");
    EXPECT_EQ(introspected(registry), before);
    EXPECT_EQ(registry.generation(), generation);
    EXPECT_EQ(registry.fragment_names(), std::vector<std::string>{"nbd"});
}

TEST_F(RegistryTest, CheckChangesNothing) {
    auto name = registry.check_fragment(doc(kNbd));
    ASSERT_TRUE(name);
    EXPECT_EQ(*name, "nbd");
    EXPECT_FALSE(registry.has_fragment("nbd"));
    EXPECT_FALSE(registry.check_fragment(doc("{'format':2}")));
}

TEST_F(RegistryTest, NamesNeedThePrefix) {
    EXPECT_EQ(
        refused(changed(kNbd, "'nbd-start': {", "'other-start': {")),
        "schema document 'nbd': command 'other-start' needs a downstream prefix such as '__com.example_'");
    EXPECT_EQ(
        refused(changed(kNbd, "CONFIG_NBD", "CONFIG_OTHER")),
        "schema document 'nbd': condition 'CONFIG_OTHER' needs a downstream prefix such as '__com.example_'");
    EXPECT_EQ(refused(changed(kNbd, "{'name': 'nbd'}]", "{'name': 'zzz'}]")),
              "schema document 'nbd': enum value 'zzz' needs a downstream prefix such as '__com.example_'");
    EXPECT_EQ(refused(changed(kNbd, "'nbd-start': {", "'__org.x-y_start': {")), "accepted");
}

TEST_F(RegistryTest, CompiledAgainstAnotherHost) {
    // The host has less than the plugin knows, or other types.
    EXPECT_EQ(
        refused(changed(kNbd, "'name': 'keep-alive', 'type': 'bool'", "'name': 'alive', 'type': 'bool'")),
        "schema document 'nbd': was compiled against another host: member 'alive' of 'InetAddress' is not "
        "here");
    EXPECT_EQ(
        refused(changed(kNbd, "'name': 'keep-alive', 'type': 'bool'", "'name': 'keep-alive', 'type': 'int'")),
        "schema document 'nbd': was compiled against another host: member 'keep-alive' of 'InetAddress' is "
        "different here");
    EXPECT_EQ(
        refused(changed(kNbd, "'optional': true}]},\n  'UnixAddress'",
                        "'optional': true, 'default': true}]},\n  'UnixAddress'")),
        "schema document 'nbd': was compiled against another host: member 'keep-alive' of 'InetAddress' is "
        "different here");
    EXPECT_EQ(refused(changed(kNbd, "{'name': 'path', 'type': 'str'}", "")),
              "schema document 'nbd': was compiled against another host: member 'path' of 'UnixAddress' is "
              "required "
              "here and unknown there");
    EXPECT_EQ(
        refused(changed(kNbd, "{'name': 'inet'}", "{'name': 'fd'}")),
        "schema document 'nbd': was compiled against another host: value 'fd' of 'AddressType' is not here");
}

TEST_F(RegistryTest, MembersNewerThanThePluginAreRefused) {
    ASSERT_EQ(refused(changed(kNbd, ",\n     {'name': 'keep-alive', 'type': 'bool', 'optional': true}", "")),
              "accepted");
    auto args = doc("{'addr':{'type':'inet','host':'h','port':'1','keep-alive':true}}");
    auto own = schema::validate_command(*registry.schema(), "server-start", args.get_object(),
                                        schema::InputMode::Json);
    EXPECT_TRUE(own); // the host's own command knows it
    auto plugins =
        schema::validate_command(*registry.schema(), "nbd-start", args.get_object(), schema::InputMode::Json);
    ASSERT_FALSE(plugins);
    EXPECT_EQ(plugins.error().message,
              "Parameter 'addr.keep-alive' needs a newer plugin than the 'nbd' that is loaded");
    args.at("addr").get_object().erase("keep-alive");
    EXPECT_TRUE(schema::validate_command(*registry.schema(), "nbd-start", args.get_object(),
                                         schema::InputMode::Json));
}

TEST_F(RegistryTest, NewerThanThePluginByWayOfABase) {
    std::string f(kNbd);
    replace(f, ",\n     {'name': 'keep-alive', 'type': 'bool', 'optional': true}", "");
    replace(f, "'NbdOptions': {'kind': 'struct', 'members'",
            "'NbdOptions': {'kind': 'struct', 'base': 'InetAddress', 'members'");
    ASSERT_EQ(refused(f), "accepted");
    auto args = doc("{'type':'nbd','id':'e','host':'h','port':'1','keep-alive':true}");
    auto r = schema::validate_command(*registry.schema(), "export-add", args.get_object(),
                                      schema::InputMode::Json);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message, "Parameter 'keep-alive' needs a newer plugin than the 'nbd' that is loaded");
}

TEST_F(RegistryTest, ValuesNewerThanThePluginAreRefused) {
    std::string f = changed(kNbd, "{'name': 'unix'}, {'name': 'vsock'}", "{'name': 'vsock'}");
    replace(f, "{'case': 'unix', 'type': 'UnixAddress'},", "");
    ASSERT_EQ(refused(f), "accepted");
    auto args = doc("{'addr':{'type':'unix','path':'/x'}}");
    auto r =
        schema::validate_command(*registry.schema(), "nbd-start", args.get_object(), schema::InputMode::Json);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message,
              "Value 'unix' of parameter 'addr.type' needs a newer plugin than the 'nbd' that is loaded");
}

TEST(Registry, BaseMustBeTheBase) {
    schema::Registry r;
    EXPECT_FALSE(r.load_base(doc(kNbd)));
    ASSERT_TRUE(r.load_base(doc(kBase)));
    EXPECT_FALSE(r.load_base(doc(kBase)));
    EXPECT_FALSE(r.add_fragment(doc(kBase)));
}

TEST(Registry, MalformedDocuments) {
    const std::pair<const char*, const char*> cases[] = {
        {"5", "schema document: expected an object"},
        {"{}", "schema document: lacks 'format'"},
        {"{'format':2,'fragment':'base'}", "schema document: format: this host understands format 1 only"},
        {"{'format':1}", "schema document: lacks 'fragment'"},
        {"{'format':1,'fragment':'base','zzz':1}", "schema document 'base': unknown member 'zzz'"},
        {"{'format':1,'fragment':'base','uses':{'A':{'kind':'enum'}}}",
         "schema document 'base': the base document neither uses nor extends another's types"},
        {"{'format':1,'fragment':'base','types':[]}", "schema document 'base': types: expected an object"},
        {"{'format':1,'fragment':'base','types':{'int':{'kind':'enum'}}}",
         "schema document 'base': types.int: is the name of a built-in type"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'enum','values':[5]}}}",
         "schema document 'base': types.A.values[0]: expected an object"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'enum','values':['a','a']}}}",
         "schema document 'base': types.A.values: 'a' is there twice"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','members':[{'name':'x "
         "y','type':'int'}]}}}",
         "schema document 'base': types.A.members[0].name: 'x y' is not a well-formed name"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','members':[{'name':'x','type':'[[A]]'}]"
         "}}}",
         "schema document 'base': types.A.members[0].type: '[[A]]' is not a well-formed type"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','members':[{'name':'x','type':'B'}]}}}",
         "schema document 'base': 'A' refers to the unknown type 'B'"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','base':'A'}}}",
         "schema document 'base': base of 'A' is no struct, or goes in a circle"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','members':[{'name':'x','type':'int','"
         "default':1}]}}}",
         "schema document 'base': types.A.members[0].default: only an optional member can have a default"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'struct','members':[{'name':'x','type':'int','"
         "optional':true,'default':'1'}]}}}",
         "schema document 'base': default of member 'x' of 'A' does not fit its type"},
        {"{'format':1,'fragment':'base','types':{'A':{'kind':'alternate','alternatives':[{'name':'a','type':'"
         "int'},{'name':'b','type':'number'}]}}}",
         "schema document 'base': alternative 'b' of 'A' looks like another: number"},
        {"{'format':1,'fragment':'base','types':{'E':{'kind':'enum','values':['e']},'B':{'kind':'struct','"
         "members':[{'name':'t','type':'E','optional':true}]},'A':{'kind':'union','base':'B','discriminator':"
         "'t'}}}",
         "schema document 'base': discriminator 't' of 'A' is no required member of an enum type in its "
         "base"},
        {"{'format':1,'fragment':'base','types':{'E':{'kind':'enum','values':['e']},'B':{'kind':'struct','"
         "members':[{'name':'t','type':'E'}]},'A':{'kind':'union','base':'B','discriminator':'t','branches':["
         "{'case':'f','type':'B'}]}}}",
         "schema document 'base': branch 'f' of 'A' is no value of 'E'"},
        {"{'format':1,'fragment':'base','types':{'E':{'kind':'enum','values':['e']},'B':{'kind':'struct','"
         "members':[{'name':'t','type':'E'}]},'A':{'kind':'union','base':'B','discriminator':'t','branches':["
         "{'case':'e','type':'B'}]}}}",
         "schema document 'base': branch 'e' of 'A' has member 't' twice"},
        {"{'format':1,'fragment':'base','commands':{'c':{'arg':'int'}}}",
         "schema document 'base': the argument of command 'c' is no struct or union"},
        {"{'format':1,'fragment':'base','commands':{'c':{'if':{'all':[]}}}}",
         "schema document 'base': commands.c.if.all: is empty"},
        {"{'format':1,'fragment':'base','commands':{'c':{'if':{'maybe':'A'}}}}",
         "schema document 'base': commands.c.if: a condition is a symbol or one of 'all', 'any', 'not'"},
        {"{'format':1,'fragment':'base','options':[{'name':'o','type':'str'}]}",
         "schema document 'base': the type of option 'o' is no struct or union"},
    };
    for (auto [text, message] : cases) {
        schema::Registry r;
        auto loaded = r.load_base(doc(text));
        ASSERT_FALSE(loaded) << text;
        EXPECT_EQ(loaded.error().message, message);
        EXPECT_TRUE(r.schema()->commands().empty());
        EXPECT_FALSE(r.has_fragment("base"));
    }
}

TEST(Registry, UnionsInACircle) {
    // Two unions, each the other's branch, under different tags: no names clash, and only the depth stops it.
    schema::Registry r;
    auto loaded = r.load_base(doc(R"({'format':1,'fragment':'base','types':{
        'E':{'kind':'enum','values':['e']},
        'B1':{'kind':'struct','members':[{'name':'t1','type':'E'}]},
        'B2':{'kind':'struct','members':[{'name':'t2','type':'E'}]},
        'U1':{'kind':'union','base':'B1','discriminator':'t1','branches':[{'case':'e','type':'U2'}]},
        'U2':{'kind':'union','base':'B2','discriminator':'t2','branches':[{'case':'e','type':'U1'}]}}})"));
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("has member 't1' twice"), std::string::npos)
        << loaded.error().message;
}

TEST(Registry, ConditionsOfBoundedDepth) {
    std::string c = "'A'";
    for (int i = 0; i < 30; i++)
        c = "{'not':" + c + "}";
    schema::Registry r;
    auto loaded = r.load_base(doc(cat("{'format':1,'fragment':'base','commands':{'c':{'if':", c, "}}}")));
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("condition nested too deep"), std::string::npos);
}

// Whatever one byte is changed to, the loader says yes or no.
TEST(Registry, MutatedDocuments) {
    std::mt19937 random(1);
    int accepted = 0, refused = 0;
    for (int i = 0; i < 3000; i++) {
        std::string text(kNbd);
        for (int changes = 1 + i % 3; changes; changes--)
            text[random() % text.size()] = "{}[]',: aZ01-_\0"[random() % 15];
        auto value = json::parse(text);
        if (!value)
            continue;
        schema::Registry r({}, names());
        ASSERT_TRUE(r.load_base(doc(kBase)));
        (r.add_fragment(*value) ? accepted : refused)++;
        introspected(r);
    }
    EXPECT_GT(accepted, 0);
    EXPECT_GT(refused, 100);
}

TEST(Registry, NamesAndHints) {
    auto list = schema::parse_names(doc("{'commands':['a','b'],'types':['C']}"));
    ASSERT_TRUE(list);
    EXPECT_TRUE(list->contains("a") && list->contains("C"));
    EXPECT_FALSE(schema::parse_names(doc("{'commands':[5]}")));
    EXPECT_FALSE(schema::parse_names(doc("[]")));
    auto h = schema::parse_hints(doc("{'commands':{'c':'T'},'options':{'o':'U'},'enums':{'E':{'v':'W'}}}"));
    ASSERT_TRUE(h);
    EXPECT_EQ(h->command("c"), "T");
    EXPECT_EQ(h->option("o"), "U");
    EXPECT_EQ(h->enum_value("E", "v"), "W");
    EXPECT_EQ(h->enum_value("F", "v"), "");
    EXPECT_FALSE(schema::parse_hints(doc("{'zzz':{}}")));
    EXPECT_FALSE(schema::parse_hints(doc("{'commands':{'c':5}}")));
}
