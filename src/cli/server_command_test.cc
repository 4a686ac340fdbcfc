// The command line of the server: spellings, and who wins over whom.
#include "cli/server_command.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvstore::cli {
namespace {

using ::testing::HasSubstr;

// Runs in an empty folder, and puts the environment back.
class ServerCommandLine : public ::testing::Test {
protected:
    ServerCommandLine() {
        const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
        std::filesystem::remove_all(folder_ / info->name());
        std::filesystem::create_directories(folder_ / info->name());
        std::filesystem::current_path(folder_ / info->name());
    }
    ~ServerCommandLine() override {
        for (const std::string& name : variables_) {
            ::unsetenv(name.c_str());
        }
        std::filesystem::current_path(before_);
    }

    void set_variable(const std::string& name, const std::string& value) {
        variables_.push_back(name);
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    static void write(const char* file, std::string_view content) {
        std::ofstream(file) << content;
    }
    static std::string grpc_address(const std::vector<std::string>& arguments) {
        const auto config = read_server_config(arguments);
        return config.ok() ? config->grpc_addr.to_string() : config.status().to_string();
    }
    static std::string refusal(const std::vector<std::string>& arguments) {
        const auto config = read_server_config(arguments);
        EXPECT_EQ(config.status().code(), Code::kInvalidArgument);
        return std::string(config.status().message());
    }

private:
    std::filesystem::path folder_ = std::filesystem::path(::testing::TempDir()) / "server_command";
    std::filesystem::path before_ = std::filesystem::current_path();
    std::vector<std::string> variables_;
};

// A value that is not the default and stands for itself.
std::string sample_of(const server::Setting& setting) {
    const std::string value = setting.show(server::Config());
    if (setting.name.ends_with(".addr") || setting.name.starts_with("advertise")) {
        return "127.0.0.1:7" + std::to_string(setting.name.size());
    }
    if (setting.is_flag || setting.name == "io_uring") {
        return value == "true" ? "false" : "true";
    }
    if (setting.name == "durability") {
        return "memory";
    }
    if (setting.name == "default_engine") {
        return "memory";
    }
    if (setting.name == "lsm.compression") {
        return "none";
    }
    if (setting.name == "log.level") {
        return "debug";
    }
    if (setting.name == "replication_factor") {
        return "7";
    }
    if (value.ends_with("s") || value.ends_with("m") || value.ends_with("h")) {
        return "7s";
    }
    if (!value.empty() && value.find_first_not_of("0123456789") == std::string::npos) {
        return setting.name.ends_with("_bytes_max") || setting.name.ends_with("_bytes")
                   ? (setting.name == "limits.key_bytes_max" ? "777" : "7777777")
                   : "777";
    }
    if (setting.name == "join") {
        return "a:1,b:2";
    }
    if (setting.name == "peers") {
        return "n1@a:1";
    }
    if (setting.name == "initial_cluster") {
        return "node1=a:1";
    }
    return "sample";
}

TEST_F(ServerCommandLine, TakesEveryFlagWithOneDashOrTwoAndWithBlankOrEquals) {
    for (const server::Setting& setting : server::settings()) {
        const std::string flag = setting.flag();
        const std::string value = sample_of(setting);
        ASSERT_NE(setting.show(server::Config()), value) << flag;
        std::vector<std::vector<std::string>> spellings{{flag + "=" + value},
                                                        {flag.substr(1) + "=" + value}};
        if (setting.is_flag) {
            ASSERT_EQ(value, "true");
            spellings.push_back({flag});
            spellings.push_back({flag.substr(1)});
        } else {
            spellings.push_back({flag, value});
            spellings.push_back({flag.substr(1), value});
        }
        for (const std::vector<std::string>& arguments : spellings) {
            const auto config = read_server_config(arguments);
            ASSERT_TRUE(config.ok()) << arguments.front() << ": " << config.status().to_string();
            EXPECT_EQ(setting.show(*config), value) << arguments.front();
        }
    }
}

TEST_F(ServerCommandLine, TakesTheOlderSpellings) {
    EXPECT_EQ(grpc_address({"-addr", ":50051"}), "127.0.0.1:50051");
    EXPECT_EQ(grpc_address({"--port", "50052"}), "127.0.0.1:50052");
    EXPECT_EQ(grpc_address({"-listen=127.0.0.1:50053"}), "127.0.0.1:50053");
    const auto config = read_server_config({"-id",
                                            "node1",
                                            "-peers",
                                            "n1@a:1,n2@b:2",
                                            "--http",
                                            "127.0.0.1:1",
                                            "--resp",
                                            ":2",
                                            "--snapshot-interval",
                                            "300"});
    ASSERT_TRUE(config.ok()) << config.status().to_string();
    EXPECT_EQ(config->peers, "n1@a:1,n2@b:2");
    EXPECT_EQ(config->http_addr.port, 1);
    EXPECT_EQ(config->resp_addr.to_string(), "127.0.0.1:2");
    EXPECT_EQ(config->snapshot_interval, std::chrono::seconds(300));
}

TEST_F(ServerCommandLine, LetsTheLastOfSeveralFlagsWin) {
    EXPECT_EQ(grpc_address({"--port", "1", "--grpc-addr", "127.0.0.1:2"}), "127.0.0.1:2");
    EXPECT_EQ(grpc_address({"--grpc-addr", "127.0.0.1:2", "--port", "1"}), "127.0.0.1:1");
}

TEST_F(ServerCommandLine, TakesFlagsOverTheEnvironmentOverDotenvOverTheFile) {
    write("settings.yaml", "grpc.addr: 127.0.0.1:1\n");
    EXPECT_EQ(grpc_address({"--config", "settings.yaml"}), "127.0.0.1:1");
    write(".env", "NODE_ADDRESS=:2\n");
    EXPECT_EQ(grpc_address({"--config", "settings.yaml"}), "127.0.0.1:2");
    set_variable("NODE_ADDRESS", ":3");
    EXPECT_EQ(grpc_address({"--config", "settings.yaml"}), "127.0.0.1:3");
    set_variable("KVSTORE_GRPC_ADDR", "127.0.0.1:4");
    EXPECT_EQ(grpc_address({"--config", "settings.yaml"}), "127.0.0.1:4");
    EXPECT_EQ(grpc_address({"--port", "5", "--config", "settings.yaml"}), "127.0.0.1:5");
}

TEST_F(ServerCommandLine, BoundsMemoryByTheMachineUnlessTold) {
    EXPECT_GT(read_server_config({})->limits.memory_bytes_max, 0);
    EXPECT_EQ(read_server_config({"--limits-memory-bytes-max", "0"})->limits.memory_bytes_max, 0);
}

TEST_F(ServerCommandLine, SaysWhatIsWrongWithAFlag) {
    EXPECT_THAT(refusal({"--htp-addr", "x"}), HasSubstr("did you mean --http-addr?"));
    EXPECT_THAT(refusal({"--confg", "x"}), HasSubstr("did you mean --config?"));
    EXPECT_THAT(refusal({"--something-else-entirely"}), HasSubstr("--help"));
    EXPECT_THAT(refusal({"--id"}), HasSubstr("--id needs a value"));
    EXPECT_THAT(refusal({"--config"}), HasSubstr("--config needs a value"));
    EXPECT_THAT(refusal({"stray"}), HasSubstr("'stray' is no flag"));
    EXPECT_THAT(refusal({"--"}), HasSubstr("'--' is no flag"));
    EXPECT_THAT(refusal({"--insecure", "false"}), HasSubstr("'false' is no flag"));
    EXPECT_THAT(refusal({"--durability", "maybe"}), HasSubstr("--durability: 'maybe'"));
    EXPECT_THAT(refusal({"--port", "abc"}), HasSubstr("--grpc-addr"));
    EXPECT_THAT(refusal({"--http-addr", "127.0.0.1:1", "--resp-addr", "127.0.0.1:1"}),
                HasSubstr("http.addr and resp.addr"));
}

TEST_F(ServerCommandLine, SaysWhatIsWrongWithAFile) {
    EXPECT_THAT(refusal({"--config", "missing.yaml"}), HasSubstr("cannot read missing.yaml"));
    // It was taken for an empty file.
    EXPECT_THAT(refusal({"--config", "."}), HasSubstr("cannot read ."));
    write("bad.yaml", "id: a\nhttp:\n  adr: b\n");
    EXPECT_THAT(refusal({"--config", "bad.yaml"}), HasSubstr("bad.yaml:3:3: "));
    write(".env", "\nNODE_ADDRESS=nonsense\n");
    EXPECT_THAT(refusal({}), HasSubstr(".env:2: "));
}

TEST_F(ServerCommandLine, ListsEverySettingInItsHelp) {
    const std::string help = server_help();
    for (const server::Setting& setting : server::settings()) {
        EXPECT_THAT(help, HasSubstr("\n  " + setting.flag() + " ")) << setting.name;
    }
    for (std::size_t at = 0, end = 0; at < help.size(); at = end + 1) {
        end = help.find('\n', at);
        EXPECT_LE(end - at, 120U) << help.substr(at, end - at);
    }
}

}  // namespace
}  // namespace kvstore::cli
