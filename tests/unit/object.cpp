// SPDX-License-Identifier: Apache-2.0
// Objects: their names, their checks in QEMU's words, and that one in use stays.
#include "host/loop/loop.hpp"
#include "host/object/objects.hpp"

#include <gtest/gtest.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <optional>

namespace outport::object {
namespace {

class ObjectTest : public testing::Test {
  protected:
    void SetUp() override {
        auto made = loop::Loop::create();
        ASSERT_TRUE(made) << made.error().message;
        loop_ = std::move(*made);
        objects_ = std::make_unique<Objects>(*loop_);
    }
    void TearDown() override {
        bool ended = false;
        objects_->shutdown([&ended](Result<>) { ended = true; });
        while (!ended)
            loop_->run_once(true);
        EXPECT_TRUE(objects_->empty());
        objects_.reset();
        loop_->stop();
        EXPECT_EQ(loop_->run(), 0u);
    }

    std::string add(const char* text) {
        auto result = objects_->add(boost::json::parse(text).as_object());
        return result ? "" : result.error().message;
    }
    std::string remove(const char* id) {
        std::optional<Result<>> word;
        objects_->remove(id, [&word](Result<> result) { word = std::move(result); });
        while (!word)
            loop_->run_once(true);
        return *word ? "" : word->error().message;
    }

    std::unique_ptr<loop::Loop> loop_;
    std::unique_ptr<Objects> objects_;
};

TEST_F(ObjectTest, IothreadsRunTheirLoops) {
    ASSERT_EQ(
        add(R"({"qom-type": "iothread", "id": "io0", "poll-max-ns": 7, "poll-grow": 3, "poll-shrink": 2})"),
        "");
    loop::Loop* loop = objects_->acquire("io0");
    ASSERT_NE(loop, nullptr);
    EXPECT_NE(loop, loop_.get());
    EXPECT_EQ(loop->poll_limits().max_ns, 7u);
    EXPECT_EQ(loop->poll_limits().grow, 3u);
    EXPECT_EQ(loop->poll_limits().shrink, 2u);
    std::atomic<bool> ran{false};
    loop::run_on(*loop, [&] {
        ran = true;
        ran.notify_all();
    });
    ran.wait(false);
    objects_->release("io0");
}

TEST_F(ObjectTest, NamesAreTakenOnce) {
    ASSERT_EQ(add(R"({"qom-type": "iothread", "id": "io0"})"), "");
    EXPECT_EQ(add(R"({"qom-type": "iothread", "id": "io0"})"),
              "attempt to add duplicate property 'io0' to object (type 'container')");
    ASSERT_EQ(remove("io0"), "");
    EXPECT_EQ(add(R"({"qom-type": "iothread", "id": "io0"})"), "");
}

TEST_F(ObjectTest, NamesAreIdentifiers) {
    for (const char* text : {R"({"id": ""})", R"({"id": "1a"})", R"({"id": "a b"})", R"({"id": "-"})"})
        EXPECT_EQ(add(text), "Parameter 'id' expects an identifier") << text;
    EXPECT_TRUE(valid_id("a-1._"));
}

TEST_F(ObjectTest, LimitsAreChecked) {
    EXPECT_EQ(add(R"({"id": "a", "poll-max-ns": -1})"),
              "poll-max-ns value must be in range [0, 9223372036854775807]");
    EXPECT_EQ(add(R"({"id": "a", "poll-grow": -1})"),
              "poll-grow value must be in range [0, 9223372036854775807]");
    EXPECT_EQ(remove("a"), "object 'a' not found");
}

TEST_F(ObjectTest, OneInUseStays) {
    ASSERT_EQ(add(R"({"qom-type": "iothread", "id": "io0"})"), "");
    ASSERT_NE(objects_->acquire("io0"), nullptr);
    ASSERT_NE(objects_->acquire("io0"), nullptr);
    EXPECT_EQ(remove("io0"), "object 'io0' is in use, can not be deleted");
    objects_->release("io0");
    EXPECT_EQ(remove("io0"), "object 'io0' is in use, can not be deleted");
    objects_->release("io0");
    EXPECT_EQ(remove("io0"), "");
    EXPECT_EQ(objects_->acquire("io0"), nullptr);
}

TEST_F(ObjectTest, ManyComeAndGo) {
    for (int round = 0; round < 50; ++round) {
        ASSERT_EQ(add(R"({"qom-type": "iothread", "id": "a"})"), "");
        ASSERT_EQ(add(R"({"qom-type": "iothread", "id": "b"})"), "");
        ASSERT_EQ(remove("a"), "");
        ASSERT_EQ(remove("b"), "");
    }
}

} // namespace
} // namespace outport::object
