#include "server/config.h"

#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvstore::server {
namespace {

using ::testing::HasSubstr;

// A value other than the default of every setting, and how it is shown.
struct Sample {
    std::string_view name;
    std::string_view text;
    std::string_view shown;
};
constexpr Sample kSamples[] = {
    {"id", "node-2.b_C", "node-2.b_C"},
    {"data_dir", "/srv/kv", "/srv/kv"},
    {"http.addr", "127.0.0.1:1", "127.0.0.1:1"},
    {"grpc.addr", "localhost:2", "localhost:2"},
    {"resp.addr", "[::1]:3", "[::1]:3"},
    {"peer.addr", "127.0.0.2:4", "127.0.0.2:4"},
    {"advertise", "db1.example.org:5", "db1.example.org:5"},
    {"advertise_http", "db1.example.org:6", "db1.example.org:6"},
    {"advertise_grpc", "db1.example.org:7", "db1.example.org:7"},
    {"advertise_resp", "[2001:db8::1]:8", "[2001:db8::1]:8"},
    {"join", "a:1,b:2", "a:1,b:2"},
    {"peers", "n1@a:1", "n1@a:1"},
    {"initial_cluster", "n1=a:1", "n1=a:1"},
    {"cluster.replace_after", "90s", "1m30s"},
    {"cluster.state_rate", "64MiB", "67108864"},
    {"replication_factor", "5", "5"},
    {"snapshot_interval", "90", "1m30s"},
    {"durability", "interval", "interval"},
    {"default_engine", "memory", "memory"},
    {"default_history", "1h30m", "1h30m"},
    {"zone", "rack-2", "rack-2"},
    {"insecure", "yes", "true"},
    {"limits.key_bytes_max", "1KiB", "1024"},
    {"limits.value_bytes_max", "1MiB", "1048576"},
    {"limits.batch_items_max", "7", "7"},
    {"limits.scan_rows_max", "8", "8"},
    {"limits.memory_bytes_max", "9GiB", "9663676416"},
    {"limits.connections_max", "10", "10"},
    {"limits.request_timeout", "5s", "5s"},
    {"limits.proposal_bytes_max", "2MiB", "2097152"},
    {"lsm.cache_bytes", "3MiB", "3145728"},
    {"lsm.write_buffer_bytes", "4MiB", "4194304"},
    {"lsm.compression", "zstd", "zstd"},
    {"wal.segment_bytes", "1MiB", "1048576"},
    {"io_uring", "off", "false"},
    {"log.level", "error", "error"},
    {"log.performance_interval", "0", "0s"},
};

// The environment of a test, since lookups are plain functions.
std::map<std::string, std::string>& variables() {
    static std::map<std::string, std::string> kVariables;
    return kVariables;
}
const char* lookup(const char* name) {
    const auto found = variables().find(name);
    return found == variables().end() ? nullptr : found->second.c_str();
}

class Configuration : public ::testing::Test {
protected:
    ~Configuration() override { variables().clear(); }

    Status yaml(std::string_view content) { return apply_yaml(config_, content, "kv.yaml"); }
    // What applying `content` is refused with.
    std::string refusal(std::string_view content) {
        const Status status = yaml(content);
        EXPECT_EQ(status.code(), Code::kInvalidArgument) << content;
        return std::string(status.message());
    }
    Status set(std::string_view name, std::string_view text) {
        return find_setting(name)->set(config_, text);
    }
    [[nodiscard]] std::string shown(std::string_view name) const {
        return find_setting(name)->show(config_);
    }

    Config config_;
};

// ---- the table ----

TEST_F(Configuration, HasASampleOfEverySetting) {
    std::set<std::string_view> sampled;
    for (const Sample& sample : kSamples) {
        sampled.insert(sample.name);
    }
    for (const Setting& setting : settings()) {
        EXPECT_TRUE(sampled.contains(setting.name)) << setting.name;
        EXPECT_FALSE(setting.help.empty()) << setting.name;
    }
    EXPECT_EQ(sampled.size(), settings().size());
}

TEST_F(Configuration, ShowsWhatWasSetAndTakesWhatItShows) {
    for (const Sample& sample : kSamples) {
        EXPECT_NE(shown(sample.name), sample.shown) << sample.name << ": the sample is the default";
        ASSERT_TRUE(set(sample.name, sample.text).ok()) << sample.name;
        EXPECT_EQ(shown(sample.name), sample.shown) << sample.name;
        EXPECT_TRUE(set(sample.name, sample.shown).ok()) << sample.name;
        EXPECT_EQ(shown(sample.name), sample.shown) << sample.name;
    }
}

TEST_F(Configuration, TakesItsOwnDefaults) {
    const Config defaults;
    for (const Setting& setting : settings()) {
        const std::string value = setting.show(defaults);
        if (!value.empty()) {
            EXPECT_TRUE(setting.set(config_, value).ok()) << setting.name << " " << value;
            EXPECT_EQ(setting.show(config_), value) << setting.name;
        }
    }
    EXPECT_TRUE(check_config(config_).ok());
}

TEST_F(Configuration, DerivesFlagAndVariableFromTheName) {
    const Setting& setting = *find_setting("limits.key_bytes_max");
    EXPECT_EQ(setting.flag(), "--limits-key-bytes-max");
    EXPECT_EQ(setting.environment_variable(), "KVSTORE_LIMITS_KEY_BYTES_MAX");
    std::set<std::string> flags;
    for (const Setting& each : settings()) {
        EXPECT_TRUE(flags.insert(each.flag()).second) << each.flag() << " means two settings";
    }
}

TEST_F(Configuration, RefusesValuesThatMakeNoSenseAndKeepsTheOldOne) {
    constexpr std::pair<std::string_view, std::string_view> kBad[] = {
        {"id", ""},
        {"id", "a b"},
        {"id", "a/b"},
        {"data_dir", ""},
        {"http.addr", "nonsense"},
        {"http.addr", "127.0.0.1:65536"},
        {"cluster.replace_after", "0"},
        {"cluster.replace_after", "87601h"},
        {"replication_factor", "2"},
        {"replication_factor", "9"},
        {"snapshot_interval", "soon"},
        {"snapshot_interval", "-1"},
        {"durability", "Always"},
        {"default_engine", "btree"},
        {"default_history", "10"},
        {"insecure", "maybe"},
        {"limits.key_bytes_max", "0"},
        {"limits.key_bytes_max", "255"},
        {"limits.value_bytes_max", "1023"},
        {"limits.key_bytes_max", "1MiB"},
        {"limits.value_bytes_max", "25MiB"},
        {"limits.batch_items_max", "0"},
        {"limits.batch_items_max", "1.5"},
        {"limits.connections_max", "-1"},
        {"limits.request_timeout", "0"},
        {"limits.request_timeout", "999ms"},
        {"limits.request_timeout", "25h"},
        {"limits.proposal_bytes_max", "1KiB"},
        {"lsm.compression", "gzip"},
        {"wal.segment_bytes", "1KiB"},
        {"log.level", "loud"},
        {"io_uring", ""},
    };
    for (const auto& [name, text] : kBad) {
        const std::string before = shown(name);
        const Status status = set(name, text);
        EXPECT_EQ(status.code(), Code::kInvalidArgument) << name << " " << text;
        EXPECT_EQ(shown(name), before) << name << " " << text;
    }
}

// A node id longer than this does not fit the file that marks a data directory's owner.
TEST_F(Configuration, TakesIdsOf64Characters) {
    EXPECT_TRUE(set("id", std::string(64, 'a')).ok());
    EXPECT_FALSE(set("id", std::string(65, 'a')).ok());
}

// ---- the file ----

TEST_F(Configuration, TakesEverySettingFromAFileNestedOrDotted) {
    std::string dotted;
    for (const Sample& sample : kSamples) {
        dotted += std::string(sample.name) + ": \"" + std::string(sample.text) + "\"\n";
    }
    ASSERT_TRUE(yaml(dotted).ok()) << yaml(dotted).to_string();
    for (const Sample& sample : kSamples) {
        EXPECT_EQ(shown(sample.name), sample.shown);
    }
    config_ = Config();
    ASSERT_TRUE(yaml("http:\n  addr: 127.0.0.1:1\nlimits:\n  key_bytes_max: 1KiB\n").ok());
    EXPECT_EQ(config_.http_addr.port, 1);
    EXPECT_EQ(config_.limits.key_bytes_max, 1024);
}

TEST_F(Configuration, TakesAFileThatSetsNothing) {
    for (const char* content : {"", "\n", "# only words\n", "---\n", "{}", "~"}) {
        EXPECT_TRUE(yaml(content).ok()) << content;
    }
}

TEST_F(Configuration, TakesASectionWhoseSettingsAreAllCommentedOut) {
    EXPECT_TRUE(yaml("limits:\n  # key_bytes_max: 1KiB\nid: a\n").ok());
    EXPECT_EQ(config_.id, "a");
    EXPECT_THAT(refusal("limit:\n  # key_bytes_max: 1KiB\n"), HasSubstr("unknown setting 'limit'"));
    EXPECT_THAT(refusal("id:\n"), HasSubstr("id takes one value"));
}

TEST_F(Configuration, NamesFileLineAndColumnOfWhatItRefuses) {
    constexpr std::pair<std::string_view, std::string_view> kBad[] = {
        {"id: a\nhttp:\n  adr: x\n",
         "kv.yaml:3:3: unknown setting 'http.adr'; did you mean 'http.addr'?"},
        {"id: a\n\ndurability: maybe\n", "kv.yaml:3:1: durability: 'maybe' is no durability"},
        {"id: [a, b]\n", "kv.yaml:1:1: id takes one value"},
        {"- id\n", "kv.yaml:1:1: write settings as 'name: value'"},
        {"just words\n", "kv.yaml:1:1: write settings as"},
        {"[a]: b\n", "kv.yaml:1:1: a key is a word"},
        {"id: [a\n", "kv.yaml:2:1: "},
        {"id: a\n\tjoin: b\n", "kv.yaml:2:1: "},
        {"id: *nobody\n", "kv.yaml:1:"},
        {"a: {b: {c: {d: {e: {f: g}}}}}\n", "nested too deeply"},
    };
    for (const auto& [content, expected] : kBad) {
        EXPECT_THAT(refusal(content), HasSubstr(std::string(expected))) << content;
    }
}

TEST_F(Configuration, SuggestsNothingWhereNothingIsNear) {
    EXPECT_EQ(refusal("wholly_different: 1\n"), "kv.yaml:1:1: unknown setting 'wholly_different'");
}

// The last one won, and nobody was told.
TEST_F(Configuration, RefusesASettingThatStandsTwice) {
    EXPECT_EQ(refusal("id: a\njoin: x\nid: b\n"), "kv.yaml:3:1: id is set twice");
    EXPECT_EQ(refusal("http.addr: 127.0.0.1:1\nhttp:\n  addr: 127.0.0.1:2\n"),
              "kv.yaml:3:3: http.addr is set twice");
}

TEST_F(Configuration, RefusesASecondDocument) {
    EXPECT_THAT(refusal("id: a\n---\nid: b\n"), HasSubstr("a second document"));
}

TEST_F(Configuration, RefusesWhatCouldExhaustIt) {
    EXPECT_THAT(refusal(std::string((1U << 20U) + 1, '#')), HasSubstr("larger than 1 MiB"));
    EXPECT_FALSE(yaml(std::string(100'000, '[')).ok());
    EXPECT_FALSE(yaml(std::string(100'000, '{')).ok());
    std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c < 'm'; ++c) {
        const std::string last(1, static_cast<char>(c - 1));
        bomb += std::string(1, c) + ": &" + c;
        bomb += " [*" + last + ",*" + last + ",*" + last + ",*" + last + ",*" + last + "]\n";
    }
    EXPECT_FALSE(yaml(bomb).ok());
}

// ---- the environment ----

TEST_F(Configuration, TakesEverySettingFromTheEnvironment) {
    for (const Sample& sample : kSamples) {
        variables()[find_setting(sample.name)->environment_variable()] = sample.text;
    }
    ASSERT_TRUE(apply_environment(config_, lookup).ok());
    for (const Sample& sample : kSamples) {
        EXPECT_EQ(shown(sample.name), sample.shown);
    }
}

TEST_F(Configuration, NamesTheVariableThatItRefuses) {
    variables()["KVSTORE_DURABILITY"] = "maybe";
    const Status status = apply_environment(config_, lookup);
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                ::testing::StartsWith("KVSTORE_DURABILITY: 'maybe'"));
}

TEST_F(Configuration, TakesTheGrpcAddressFromADotenvFile) {
    const auto taken = [this](std::string_view content) {
        config_ = Config();
        EXPECT_TRUE(apply_dotenv(config_, content, ".env").ok()) << content;
        return config_.grpc_addr.to_string();
    };
    EXPECT_EQ(taken("NODE_ADDRESS=:8001"), "127.0.0.1:8001");
    EXPECT_EQ(taken("A=b\n# NODE_ADDRESS=:1\nNODE_ADDRESS=\"10.0.0.1:8001\"\r\nNODE=c\n"),
              "10.0.0.1:8001");
    EXPECT_EQ(taken("NODE_ADDRESS=:1\nNODE_ADDRESS=:2\n"), "127.0.0.1:2");
    EXPECT_EQ(taken("NODE_ADDRESSES=:1\n"), Config().grpc_addr.to_string());
}

TEST_F(Configuration, NamesTheLineOfADotenvFileThatItRefuses) {
    const Status status = apply_dotenv(config_, "A=b\nNODE_ADDRESS=nonsense\n", ".env");
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), ::testing::StartsWith(".env:2: "));
}

// ---- all together ----

TEST_F(Configuration, RefusesTwoListenersOnOnePort) {
    constexpr std::pair<std::string_view, std::string_view> kSame[] = {
        {"127.0.0.1:7", "127.0.0.1:7"},
        {"localhost:7", "127.0.0.1:7"},
        {":7", "127.0.0.1:7"},
        {"127.0.0.1:7", "0.0.0.0:7"},
        {"[::]:7", "127.0.0.1:7"},
    };
    config_.insecure = true;
    for (const auto& [http, resp] : kSame) {
        ASSERT_TRUE(set("http.addr", http).ok());
        ASSERT_TRUE(set("resp.addr", resp).ok());
        const Status status = check_config(config_);
        EXPECT_EQ(status.code(), Code::kInvalidArgument) << http << " " << resp;
        EXPECT_THAT(std::string(status.message()), HasSubstr("http.addr and resp.addr"));
    }
    constexpr std::pair<std::string_view, std::string_view> kApart[] = {
        {"127.0.0.1:0", "127.0.0.1:0"},
        {"127.0.0.1:7", "127.0.0.2:7"},
        {"127.0.0.1:7", "127.0.0.1:8"},
    };
    for (const auto& [http, resp] : kApart) {
        ASSERT_TRUE(set("http.addr", http).ok());
        ASSERT_TRUE(set("resp.addr", resp).ok());
        EXPECT_TRUE(check_config(config_).ok()) << http << " " << resp;
    }
}

TEST_F(Configuration, RefusesPublicAddressesUnlessTheyAreAllowed) {
    for (const char* name : {"http.addr", "grpc.addr", "resp.addr", "peer.addr"}) {
        for (const char* address : {"0.0.0.0:0", ":0", "10.0.0.1:0", "[::]:0", "example.org:0"}) {
            config_ = Config();
            ASSERT_TRUE(set(name, address).ok());
            const Status status = check_config(config_);
            EXPECT_EQ(status.code(), Code::kInvalidArgument) << name << " " << address;
            EXPECT_THAT(std::string(status.message()), HasSubstr("--insecure"));
            config_.insecure = true;
            EXPECT_TRUE(check_config(config_).ok()) << name << " " << address;
        }
    }
}

TEST_F(Configuration, RefusesToJoinAClusterAndToBeginOne) {
    config_.join = "a:1";
    EXPECT_TRUE(check_config(config_).ok());
    config_.initial_cluster = "n=a:1";
    EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("exclude each other"));
}

TEST_F(Configuration, RefusesToTellOthersAnAddressThatNobodyCanCall) {
    for (const char* any : {"0.0.0.0:7070", ":7070", "[::]:7070"}) {
        EXPECT_THAT(std::string(set("advertise", any).message()), HasSubstr("others can call"));
        config_ = Config();
        config_.insecure = true;
        config_.join = "a:1";
        ASSERT_TRUE(set("peer.addr", any).ok());
        EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("--advertise")) << any;
        ASSERT_TRUE(set("advertise", "b:7070").ok());
        EXPECT_TRUE(check_config(config_).ok()) << any;
    }
}

TEST_F(Configuration, RefusesListsOfNodesThatCannotBe) {
    config_.join = "nowhere";
    EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("'nowhere'"));
    config_.join.clear();
    config_.peers = "n1@";
    EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("'n1@'"));
    config_.peers.clear();
    config_.initial_cluster = "n1=a:1,n2";
    EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("'n2'"));
    config_.initial_cluster = "n1=a:1";
    EXPECT_THAT(std::string(check_config(config_).message()),
                HasSubstr("does not name this node, 'node1'"));
    config_.id = "n1";
    EXPECT_TRUE(check_config(config_).ok());
}

TEST_F(Configuration, AMemberOfAClusterMustNotForgetWhatItAcknowledged) {
    config_.durability = storage::Durability::kMemory;
    EXPECT_TRUE(check_config(config_).ok());
    config_.join = "a:1";
    EXPECT_THAT(std::string(check_config(config_).message()), HasSubstr("durability memory"));
}

}  // namespace
}  // namespace kvstore::server
