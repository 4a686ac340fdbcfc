// /v1/cluster: what is asked reaches the administration, and what it says comes back.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/rest/testing/rest_fixture.h"
#include "kv/administration.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

using http::Method;
using testing::Answer;
using ::testing::ElementsAre;
using testing::expect_problem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// ---- on a node of a cluster ----

// Writes down what it is asked, and answers what a test wants.
class Scripted final : public kv::Administration {
public:
    async::Task<Result<std::vector<kv::MemberInfo>>> members() override {
        kv::MemberInfo member;
        member.record.id = NodeId(4);
        member.record.name = "n4";
        member.record.state = cluster::NodeState::kDraining;
        member.record.http_address = "h:1";
        member.record.zone = "east";
        member.record.is_learner = true;
        member.liveness = cluster::Liveness::kSuspected;
        member.replicas = 3;
        member.leaders = 1;
        member.damaged = 2;
        member.disk = cluster::DiskState::kSlow;
        kv::MemberInfo expected;
        expected.record.id = NodeId(5);
        expected.record.name = "n5";
        expected.record.state = cluster::NodeState::kExpected;
        std::vector<kv::MemberInfo> members{member, expected};
        co_return members;
    }
    async::Task<Result<std::vector<kv::ShardInfo>>> shards() override {
        kv::ShardInfo shard;
        shard.record.id = ShardId(16);
        shard.record.keyspace = "default";
        shard.record.epoch = cluster::ShardEpoch(7);
        shard.record.range_end = "\xff";
        shard.record.voters = {NodeId(1), NodeId(2), NodeId(4)};
        shard.record.preferred_leader = NodeId(2);
        shard.record.wanted = {NodeId(1), NodeId(2), NodeId(5)};
        shard.leader = NodeId(4);
        std::vector<kv::ShardInfo> shards(1, shard);
        co_return shards;
    }
    async::Task<Result<kv::NewMember>> add_member(std::string name, kv::MemberRole role) override {
        asked.push_back("add " + name + (role == kv::MemberRole::kLearner ? " learner" : ""));
        KVSTORE_CO_CHECK_OK(refusal);
        kv::NewMember member;
        member.record.id = NodeId(9);
        member.record.name = std::move(name);
        member.record.is_learner = role == kv::MemberRole::kLearner;
        member.join = {"a:1", "b:2"};
        co_return member;
    }
    async::Task<Result<kv::Progress>> change_member(std::string node,
                                                    kv::MemberChange change,
                                                    Duration wait) override {
        return answer(std::string(cluster::member_change_name(change)) + " " + node, wait);
    }
    async::Task<Result<kv::Progress>> move_leader(ShardId shard,
                                                  std::optional<std::string> node,
                                                  Duration wait) override {
        return answer("lead " + std::to_string(shard.value()) + " " + node.value_or("automatic"),
                      wait);
    }
    async::Task<Result<kv::Progress>> move_shard(ShardId shard,
                                                 std::optional<Move> move,
                                                 Duration wait) override {
        return answer("move " + std::to_string(shard.value()) + " " +
                          (move ? move->from + " " + move->to : "automatic"),
                      wait);
    }

    std::vector<std::string> asked;
    Status refusal;
    kv::Progress progress;

private:
    async::Task<Result<kv::Progress>> answer(std::string what, Duration wait) {
        if (wait.count() > 0) {
            what += " wait " + std::to_string(wait / std::chrono::milliseconds(1));
        }
        asked.push_back(std::move(what));
        KVSTORE_CO_CHECK_OK(refusal);
        co_return progress;
    }
};

class RestCluster : public testing::RestFixture {
protected:
    RestCluster() {
        auto scripted = std::make_unique<Scripted>();
        script_ = scripted.get();
        administration_ = std::move(scripted);
    }

    Scripted* script_;
};

TEST_F(RestCluster, ShowsMembers) {
    const Answer answer = get("/v1/cluster/members");

    ASSERT_EQ(answer.status, 200U);
    const json::value members = answer.at("members");
    const json::object& first = members.as_array().at(0).as_object();
    EXPECT_EQ(json::serialize(first),
              R"({"id":4,"name":"n4","state":"draining","liveness":"suspected","role":"learner",)"
              R"("zone":"east","addresses":{"peer":"","http":"h:1","grpc":"","resp":""},)"
              R"("replicas":3,"leaders":1,"damaged":2,"disk":"slow"})");
    EXPECT_EQ(members.as_array().at(1).as_object().at("liveness"), "unknown");
}

TEST_F(RestCluster, ShowsShards) {
    const Answer answer = get("/v1/cluster/shards");

    ASSERT_EQ(answer.status, 200U);
    EXPECT_EQ(json::serialize(answer.at("shards")),
              R"([{"id":16,"keyspace":"default","epoch":7,"voters":[1,2,4],"learners":[],)"
              R"("leader":4,"preferred_leader":2,"wanted":[1,2,5],"start":"",)"
              R"("end_base64":"/w=="}])");
}

TEST_F(RestCluster, AddsMembers) {
    const Answer added = post("/v1/cluster/members", R"({"name":"n9","learner":true})");

    EXPECT_EQ(added.status, 201U);
    EXPECT_EQ(added.body, R"({"id":9,"name":"n9","role":"learner","join":["a:1","b:2"]})");
    EXPECT_EQ(post("/v1/cluster/members", R"({"name":"n8"})").text("role"), "full");
    EXPECT_THAT(script_->asked, ElementsAre("add n9 learner", "add n8"));

    for (const char* body : {"", "[]", "{}", R"({"name":4})", R"({"name":"a","learner":1})"}) {
        expect_problem(post("/v1/cluster/members", body), 400, "invalid argument");
    }
    script_->refusal = Status(Code::kAlreadyExists, "taken");
    expect_problem(post("/v1/cluster/members", R"({"name":"n9"})"), 409, "already exists");
}

TEST_F(RestCluster, PassesOnWhatIsAskedOfANode) {
    script_->progress.node = NodeId(4);
    for (const char* change : {"drain", "undrain", "decommission", "recommission", "promote"}) {
        const Answer answer = post("/v1/cluster/members/n4/" + std::string(change));
        EXPECT_EQ(answer.body, R"({"node":4,"done":true,"left":[]})");
        EXPECT_EQ(answer.status, 200U);
    }
    EXPECT_EQ(erase("/v1/cluster/members/a%2Fdrain?wait=250ms").status, 200U);

    EXPECT_THAT(script_->asked,
                ElementsAre("drain n4",
                            "undrain n4",
                            "decommission n4",
                            "recommission n4",
                            "promote n4",
                            "remove a/drain wait 250"));
}

TEST_F(RestCluster, SaysWhatIsLeft) {
    script_->progress.left = {"shard 16 is led by it"};

    const Answer answer = post("/v1/cluster/members/n4/drain?wait=1s");

    EXPECT_EQ(answer.status, 202U);
    EXPECT_EQ(answer.body, R"({"done":false,"left":["shard 16 is led by it"]})");
}

TEST_F(RestCluster, SaysWhyNot) {
    script_->refusal = Status(Code::kConflict, "no other node is active");
    const Answer refused = post("/v1/cluster/members/n4/drain");
    expect_problem(refused, 412, "conflict");
    EXPECT_EQ(refused.text("detail"), "no other node is active");

    script_->refusal = Status(Code::kUnavailable, Effect::kUnknown, "no majority");
    EXPECT_EQ(post("/v1/cluster/members/n4/drain").text("effect"), "unknown");
}

TEST_F(RestCluster, MovesShardsAndLeaders) {
    EXPECT_EQ(post("/v1/cluster/shards/16/move", R"({"from":"n1","to":4})").body,
              R"({"shard":16,"done":true,"left":[]})");
    post("/v1/cluster/shards/16/move", R"({"automatic":true})");
    post("/v1/cluster/shards/16/leader?wait=2s", R"({"node":"n2"})");
    post("/v1/cluster/shards/16/leader", R"({"automatic":true})");

    EXPECT_THAT(
        script_->asked,
        ElementsAre(
            "move 16 n1 4", "move 16 automatic", "lead 16 n2 wait 2000", "lead 16 automatic"));
}

TEST_F(RestCluster, RefusesWhatMakesNoSense) {
    for (const char* body : {"",
                             "{}",
                             R"({"from":"a"})",
                             R"({"to":"a"})",
                             R"({"from":"a","to":[]})",
                             R"({"automatic":false})",
                             R"({"automatic":true,"from":"a","to":"b"})"}) {
        expect_problem(post("/v1/cluster/shards/16/move", body), 400, "invalid argument");
    }
    for (const char* body : {"", "{}", R"({"node":true})", R"({"node":"a","automatic":true})"}) {
        expect_problem(post("/v1/cluster/shards/16/leader", body), 400, "invalid argument");
    }
    expect_problem(
        post("/v1/cluster/shards/x/move", R"({"automatic":true})"), 400, "invalid argument");
    for (const char* wait : {"", "x", "31s", "-1s"}) {
        expect_problem(post("/v1/cluster/members/n1/drain?wait=" + std::string(wait)),
                       400,
                       "invalid argument");
    }
    expect_problem(post("/v1/cluster/members/n1/explode"), 405, "method not allowed");
    EXPECT_THAT(script_->asked, IsEmpty());
}

// ---- on a node that is alone ----

class RestAlone : public testing::RestFixture {};

TEST_F(RestAlone, IsOneMemberThatHoldsEverything) {
    const json::value members = get("/v1/cluster/members").at("members");
    const json::value shards = get("/v1/cluster/shards").at("shards");

    ASSERT_EQ(members.as_array().size(), 1U);
    const json::object& self = members.as_array().front().as_object();
    EXPECT_EQ(self.at("name"), "n1");
    EXPECT_EQ(self.at("state"), "active");
    EXPECT_EQ(self.at("liveness"), "alive");
    EXPECT_EQ(self.at("leaders"), shards.as_array().size());
    EXPECT_EQ(shards.as_array().front().as_object().at("keyspace"), "default");
}

TEST_F(RestAlone, RefusesWhatNeedsOthersAndSaysWhy) {
    for (const char* change : {"drain", "decommission"}) {
        const Answer refused = post("/v1/cluster/members/n1/" + std::string(change));
        expect_problem(refused, 412, "conflict");
        EXPECT_THAT(refused.text("detail"), HasSubstr("this node is alone"));
    }
    expect_problem(erase("/v1/cluster/members/1"), 412, "conflict");
    expect_problem(post("/v1/cluster/members", R"({"name":"n2"})"), 412, "conflict");
    expect_problem(post("/v1/cluster/members/n2/drain"), 404, "not found");
    EXPECT_EQ(post("/v1/cluster/members/n1/undrain").body, R"({"node":1,"done":true,"left":[]})");
}

TEST_F(RestAlone, LeadsItsShardsWhereverTheyAreMoved) {
    const auto number = get("/v1/cluster/shards").at("shards").as_array().front().at("id");
    const std::string shard = "/v1/cluster/shards/" + json::serialize(number);

    EXPECT_EQ(post(shard + "/leader", R"({"node":"n1"})").status, 200U);
    EXPECT_EQ(post(shard + "/move", R"({"automatic":true})").status, 200U);
    expect_problem(post(shard + "/leader", R"({"node":"n2"})"), 404, "not found");
    expect_problem(post(shard + "/move", R"({"from":"n1","to":"n1"})"), 412, "conflict");
    expect_problem(post("/v1/cluster/shards/99/leader", R"({"node":"n1"})"), 404, "not found");
}

}  // namespace
}  // namespace kvstore::rest
