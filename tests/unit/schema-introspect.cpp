// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/schema-documents.hpp"

#include <map>
#include <set>

using namespace outport;
using namespace outport::test;

namespace {

std::map<std::string, boost::json::object> by_name(const boost::json::value& v) {
    std::map<std::string, boost::json::object> out;
    for (const auto& entry : v.as_array()) {
        std::string name(entry.at("name").as_string().c_str());
        EXPECT_TRUE(out.emplace(name, entry.as_object()).second) << name << " twice";
    }
    return out;
}

} // namespace

TEST_F(RegistryTest, IntrospectionForm) {
    ASSERT_EQ(refused(kNbd), "accepted");
    auto all = by_name(schema::introspect(*registry.schema(), true));
    auto is = [&](const char* name, const char* expected) {
        ASSERT_TRUE(all.contains(name)) << name;
        EXPECT_EQ(json::to_string(all[name]), json::to_string(doc(expected)));
    };
    is("nothing",
       "{'name':'nothing','meta-type':'command','arg-type':'q_empty','ret-type':'q_empty','allow-oob':true}");
    is("scalars", "{'name':'scalars','meta-type':'command','arg-type':'Scalars','ret-type':'[Rule]','"
                  "features':['unstable']}");
    is("EXPORT_DELETED", "{'name':'EXPORT_DELETED','meta-type':'event','arg-type':'UnixAddress'}");
    is("q_empty", "{'name':'q_empty','meta-type':'object','members':[]}");
    is("int", "{'name':'int','meta-type':'builtin','json-type':'int'}");
    is("str", "{'name':'str','meta-type':'builtin','json-type':'string'}");
    is("any", "{'name':'any','meta-type':'builtin','json-type':'value'}");
    is("[int]", "{'name':'[int]','meta-type':'array','element-type':'int'}");
    is("Policy", "{'name':'Policy','meta-type':'enum','members':[{'name':'deny'},{'name':'allow','features':["
                 "'unstable']}],"
                 "'values':['deny','allow']}");
    is("Rule", "{'name':'Rule','meta-type':'object','members':[{'name':'match','type':'str'},"
               "{'name':'policy','type':'Policy','default':null}]}");
    is("Ref", "{'name':'Ref','meta-type':'alternate','members':[{'type':'Address'},{'type':'str'}]}");
    // Branches in the order of the tag's values.
    is("Address",
       "{'name':'Address','meta-type':'object','members':[{'name':'type','type':'AddressType'}],'tag':'type',"
       "'variants':[{'case':'inet','type':'InetAddress'},{'case':'unix','type':'UnixAddress'}]}");
    is("ExportOptions",
       "{'name':'ExportOptions','meta-type':'object','members':[{'name':'type','type':'ExportType'},"
       "{'name':'id','type':'str'},{'name':'writable','type':'bool','default':null}],'tag':'type',"
       "'variants':[{'case':'nbd','type':'NbdOptions'}]}");
    EXPECT_FALSE(all.contains("Unreached"));
    EXPECT_FALSE(all.contains("uint32"));
}

TEST_F(RegistryTest, IntrospectionMasksTypeNames) {
    auto masked = *registry.introspection();
    std::set<std::string> plain;
    for (const auto& entry : masked.as_array()) {
        std::string name(entry.at("name").as_string().c_str()),
            meta(entry.at("meta-type").as_string().c_str());
        if (meta == "object" || meta == "enum" || meta == "alternate")
            EXPECT_EQ(name.find_first_not_of("0123456789"), std::string::npos) << name;
        else
            plain.insert(name);
    }
    EXPECT_TRUE(plain.contains("export-add") && plain.contains("str"));
    EXPECT_EQ(json::to_string(masked).find("UnixAddress"), std::string::npos);
    // Every type that is named is described.
    auto all = by_name(masked);
    auto known = [&](const boost::json::value& v) {
        EXPECT_TRUE(all.contains(v.as_string().c_str())) << v.as_string();
    };
    for (const auto& [name, entry] : all) {
        for (const char* key : {"arg-type", "ret-type", "element-type"})
            if (entry.contains(key))
                known(entry.at(key));
        for (const char* key : {"members", "variants"})
            if (entry.contains(key))
                for (const auto& m : entry.at(key).as_array())
                    if (m.as_object().contains("type"))
                        known(m.at("type"));
    }
    EXPECT_EQ(registry.introspection().get(), registry.introspection().get()); // made once
}

TEST_F(RegistryTest, BranchesWithoutATypeAreEmpty) {
    std::string f = tiny_fragment("aaa", "");
    auto cut = f.find(", 'ExportOptions'");
    f = f.substr(0, cut) + "}}";
    ASSERT_EQ(refused(f), "accepted");
    auto all = by_name(schema::introspect(*registry.schema(), true));
    EXPECT_EQ(json::to_string(all["ExportOptions"].at("variants")),
              R"([{"case": "aaa", "type": "q_empty"}])");
}
