// The configuration of a node, and the one table of its settings.
//
// A setting has one name, "resp.addr" in the YAML file; its flag is --resp-addr and its environment
// variable KVSTORE_RESP_ADDR. Flags win over the environment, which wins over the file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "base/time.h"
#include "env/network.h"
#include "kv/kv.h"
#include "replication/host.h"
#include "storage/wal/wal.h"

namespace kvstore::server {

struct Config {
    std::string id = "node1";
    std::string data_dir = "./data";
    env::Address http_addr{.host = "127.0.0.1", .port = 8080};
    env::Address grpc_addr{.host = "127.0.0.1", .port = 9090};
    env::Address resp_addr{.host = "127.0.0.1", .port = 6379};
    env::Address peer_addr{.host = "127.0.0.1", .port = 7070};
    // Where others find this node, where that is not where it listens; without a host: not set.
    env::Address advertise;  // for peers
    env::Address advertise_http;
    env::Address advertise_grpc;
    env::Address advertise_resp;
    std::string join;             // addresses of members, comma separated
    std::string peers;            // the older form, id@host:port,...
    std::string initial_cluster;  // name=host:port,...
    std::string zone;             // where this node stands; replicas are spread over zones
    // Nobody else: peers are neither called nor listened to (tools that work on a data directory).
    bool alone = false;
    bool insecure = false;

    // How long a node is dead before its replicas are made elsewhere; used where a cluster is
    // founded.
    Duration replace_after = std::chrono::minutes(5);
    // Of all streams together, to members that are made anew or lag far behind. 0: no limit.
    std::uint64_t state_rate = 0;
    std::uint32_t replication_factor = 3;
    Duration snapshot_interval = std::chrono::seconds(300);
    storage::Durability durability = storage::Durability::kAlways;
    replication::EngineKind default_engine = replication::EngineKind::kLsm;
    Duration default_history = std::chrono::minutes(10);

    kv::Limits limits;
    std::uint64_t connections_max = 10'000;
    Duration request_timeout = std::chrono::seconds(60);
    std::uint64_t proposal_bytes_max = 256ULL << 20U;
    std::uint64_t lsm_cache_bytes = 256ULL << 20U;
    std::uint64_t lsm_write_buffer_bytes = 256ULL << 20U;
    storage::Compression lsm_compression = storage::Compression::kLz4;
    std::uint64_t wal_segment_bytes = 64ULL << 20U;
    bool io_uring = true;

    LogLevel log_level = LogLevel::kInfo;
    Duration performance_log_interval = std::chrono::seconds(60);
};

// One setting. `set` refuses with kInvalidArgument that says what is allowed.
struct Setting {
    std::string_view name;  // "resp.addr"
    std::string_view help;
    Status (*set)(Config& config, std::string_view text);
    std::string (*show)(const Config& config);
    bool is_flag = false;  // a bare --flag means true

    [[nodiscard]] std::string flag() const;                  // "--resp-addr"
    [[nodiscard]] std::string environment_variable() const;  // "KVSTORE_RESP_ADDR"
};

[[nodiscard]] std::span<const Setting> settings();
// Null when there is none of this name.
[[nodiscard]] const Setting* find_setting(std::string_view name);

// Takes the settings of a YAML file's content. Keys may be nested or dotted, and stand once.
// Errors: kInvalidArgument with "file:line:column: ...", what is allowed, and for an unknown key
//         the nearest one.
Status apply_yaml(Config& config, std::string_view content, std::string_view file);

// Takes every KVSTORE_* variable that names a setting. `lookup` answers null where unset.
// Errors: kInvalidArgument with the variable.
Status apply_environment(Config& config, const char* (*lookup)(const char* name));

// Takes NODE_ADDRESS=host:port, the gRPC address, from the content of a `.env` file; other lines
// are not ours. Errors: kInvalidArgument with file and line.
Status apply_dotenv(Config& config, std::string_view content, std::string_view file);

// What no single setting can see: two listeners on one port, public addresses without --insecure,
// an address that nobody else could call, options that exclude each other. Errors:
// kInvalidArgument.
Status check_config(const Config& config);

[[nodiscard]] std::string_view durability_name(storage::Durability durability);
[[nodiscard]] std::string_view engine_name(replication::EngineKind engine);
Result<replication::EngineKind> parse_engine(std::string_view text);

}  // namespace kvstore::server
