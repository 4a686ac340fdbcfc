#include "server/config.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "base/parse.h"
#include "cluster/records.h"
#include "server/advertised.h"
#include "server/peer_list.h"

namespace kvstore::server {
namespace {

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

Status set_address(env::Address& to, std::string_view text) {
    KVSTORE_TRY(to, env::Address::parse(text));
    return {};
}

// Of what others are told: with a host, since "all interfaces" can be listened on and not called.
Status set_advertised(env::Address& to, std::string_view text) {
    if (text.empty()) {
        to = env::Address();
        return {};
    }
    KVSTORE_TRY(env::Address address, env::Address::parse(text));
    if (is_any_interface(address)) {
        return invalid(quoted(text) +
                       " is no address that others can call: write the host by which they find "
                       "this node");
    }
    to = std::move(address);
    return {};
}

std::string show_advertised(const env::Address& address) {
    return address.host.empty() ? std::string() : address.to_string();
}

Status set_duration(Duration& to, std::string_view text) {
    const auto parsed = parse_duration(text);
    if (!parsed) {
        return invalid(quoted(text) + " is no duration: write 250ms, 10s, 5m, 1h30m or 0");
    }
    to = *parsed;
    return {};
}

Status set_replace_after(Duration& to, std::string_view text) {
    Duration after{};
    KVSTORE_CHECK_OK(set_duration(after, text));
    if (after < std::chrono::seconds(1) || after > cluster::kReplaceAfterMax) {
        return invalid(quoted(text) + " is no time between 1s and ten years (87600h)");
    }
    to = after;
    return {};
}

Status set_request_timeout(Duration& to, std::string_view text) {
    Duration timeout{};
    KVSTORE_CHECK_OK(set_duration(timeout, text));
    if (timeout < std::chrono::seconds(1) || timeout > std::chrono::hours(24)) {
        return invalid(quoted(text) + " is no time between 1s and 24h");
    }
    to = timeout;
    return {};
}

// Seconds, as `--snapshot-interval 300` is promised, or any duration.
Status set_seconds(Duration& to, std::string_view text) {
    if (const auto seconds = parse_uint64(text); seconds && *seconds <= 1'000'000'000) {
        to = std::chrono::seconds(*seconds);
        return {};
    }
    return set_duration(to, text);
}

template <typename Integer>
Status set_size(Integer& to, std::string_view text, std::uint64_t low, std::uint64_t high) {
    const auto parsed = parse_size(text);
    if (!parsed || *parsed < low || *parsed > high) {
        return invalid(quoted(text) + " is no size between " + format_size(low) + " and " +
                       format_size(high) + ": write 64MiB or bytes");
    }
    to = static_cast<Integer>(*parsed);
    return {};
}

template <typename Integer>
Status set_count(Integer& to, std::string_view text, std::uint64_t low, std::uint64_t high) {
    const auto parsed = parse_uint64(text);
    if (!parsed || *parsed < low || *parsed > high) {
        return invalid(quoted(text) + " is no whole number between " + std::to_string(low) +
                       " and " + std::to_string(high));
    }
    to = static_cast<Integer>(*parsed);
    return {};
}

Status set_bool(bool& to, std::string_view text) {
    if (text == "true" || text == "yes" || text == "on" || text == "1") {
        to = true;
        return {};
    }
    if (text == "false" || text == "no" || text == "off" || text == "0") {
        to = false;
        return {};
    }
    return invalid(quoted(text) + " is neither true nor false");
}

Status set_id(std::string& to, std::string_view text) {
    const bool ok = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
    if (!ok) {
        return invalid(quoted(text) + " is no node id: write 1 to 64 of a-z A-Z 0-9 . _ -");
    }
    to = text;
    return {};
}

Status set_data_dir(std::string& to, std::string_view text) {
    if (text.empty()) {
        return invalid("the data directory has no name");
    }
    to = text;
    return {};
}

Status set_durability(storage::Durability& to, std::string_view text) {
    if (text == "always") {
        to = storage::Durability::kAlways;
    } else if (text == "interval") {
        to = storage::Durability::kInterval;
    } else if (text == "memory") {
        to = storage::Durability::kMemory;
    } else {
        return invalid(quoted(text) + " is no durability: write always, interval or memory");
    }
    return {};
}

Status set_compression(storage::Compression& to, std::string_view text) {
    if (text == "none") {
        to = storage::Compression::kNone;
    } else if (text == "lz4") {
        to = storage::Compression::kLz4;
    } else if (text == "zstd") {
        to = storage::Compression::kZstd;
    } else {
        return invalid(quoted(text) + " is no compression: write none, lz4 or zstd");
    }
    return {};
}

std::string_view compression_name(storage::Compression compression) {
    switch (compression) {
        case storage::Compression::kNone: return "none";
        case storage::Compression::kLz4: return "lz4";
        case storage::Compression::kZstd: return "zstd";
    }
    return "none";
}

constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLogLevels{{
    {"debug", LogLevel::kDebug},
    {"info", LogLevel::kInfo},
    {"warning", LogLevel::kWarning},
    {"error", LogLevel::kError},
    {"off", LogLevel::kOff},
}};

Status set_log_level(LogLevel& to, std::string_view text) {
    for (const auto& [name, level] : kLogLevels) {
        if (name == text) {
            to = level;
            return {};
        }
    }
    return invalid(quoted(text) + " is no log level: write debug, info, warning, error or off");
}

std::string show_log_level(LogLevel level) {
    for (const auto& [name, known] : kLogLevels) {
        if (known == level) {
            return std::string(name);
        }
    }
    return "info";
}

Status set_replication_factor(std::uint32_t& to, std::string_view text) {
    if (text != "1" && text != "3" && text != "5" && text != "7") {
        return invalid(quoted(text) + " is no replication factor: write 1, 3, 5 or 7");
    }
    to = static_cast<std::uint32_t>(text.front() - '0');
    return {};
}

constexpr std::uint64_t kMiB = 1ULL << 20U;
constexpr std::uint64_t kTiB = 1ULL << 40U;
// The records of keyspaces are keys and values too.
constexpr std::uint64_t kKeyBytesMin = 256;
constexpr std::uint64_t kValueBytesMin = 1024;

std::string show_bool(bool value) {
    return value ? "true" : "false";
}

using C = Config;
using T = std::string_view;

// The table. Order is the order of `--help` and of the commented sample.
const std::array kSettings{
    Setting{"id",
            "this node's id; survives restarts",
            [](C& c, T t) { return set_id(c.id, t); },
            [](const C& c) {
                return c.id;
            }},
    Setting{"data_dir",
            "where data lives",
            [](C& c, T t) { return set_data_dir(c.data_dir, t); },
            [](const C& c) {
                return c.data_dir;
            }},
    Setting{"http.addr",
            "HTTP: REST, metrics, health",
            [](C& c, T t) { return set_address(c.http_addr, t); },
            [](const C& c) {
                return c.http_addr.to_string();
            }},
    Setting{"grpc.addr",
            "gRPC and HTTP on one port",
            [](C& c, T t) { return set_address(c.grpc_addr, t); },
            [](const C& c) {
                return c.grpc_addr.to_string();
            }},
    Setting{"resp.addr",
            "Redis protocol",
            [](C& c, T t) { return set_address(c.resp_addr, t); },
            [](const C& c) {
                return c.resp_addr.to_string();
            }},
    Setting{"peer.addr",
            "node to node",
            [](C& c, T t) { return set_address(c.peer_addr, t); },
            [](const C& c) {
                return c.peer_addr.to_string();
            }},
    Setting{"advertise",
            "where other nodes find this one, if not at --peer-addr",
            [](C& c, T t) { return set_advertised(c.advertise, t); },
            [](const C& c) {
                return show_advertised(c.advertise);
            }},
    Setting{"advertise_http",
            "where clients find --http-addr",
            [](C& c, T t) { return set_advertised(c.advertise_http, t); },
            [](const C& c) {
                return show_advertised(c.advertise_http);
            }},
    Setting{"advertise_grpc",
            "where clients find --grpc-addr",
            [](C& c, T t) { return set_advertised(c.advertise_grpc, t); },
            [](const C& c) {
                return show_advertised(c.advertise_grpc);
            }},
    Setting{"advertise_resp",
            "where clients find --resp-addr",
            [](C& c, T t) { return set_advertised(c.advertise_resp, t); },
            [](const C& c) {
                return show_advertised(c.advertise_resp);
            }},
    Setting{"join",
            "addresses of members to join, comma separated",
            [](C& c, T t) {
                c.join = t;
                return Status();
            },
            [](const C& c) {
                return c.join;
            }},
    Setting{"peers",
            "the older form of join: id@host:port,...",
            [](C& c, T t) {
                c.peers = t;
                return Status();
            },
            [](const C& c) {
                return c.peers;
            }},
    Setting{"initial_cluster",
            "start several new nodes as one cluster: name=host:port,...",
            [](C& c, T t) {
                c.initial_cluster = t;
                return Status();
            },
            [](const C& c) {
                return c.initial_cluster;
            }},
    Setting{"zone",
            "where this node stands; replicas are spread over zones",
            [](C& c, T t) {
                c.zone = t;
                return Status();
            },
            [](const C& c) {
                return c.zone;
            }},
    Setting{"cluster.replace_after",
            "how long a node is dead before others take over its replicas; of a new cluster only",
            [](C& c, T t) { return set_replace_after(c.replace_after, t); },
            [](const C& c) {
                return format_duration(c.replace_after);
            }},
    Setting{"cluster.state_rate",
            "bytes a second in which this node sends others the states of shards; 0: no limit",
            [](C& c, T t) { return set_size(c.state_rate, t, 0, kTiB); },
            [](const C& c) {
                return std::to_string(c.state_rate);
            }},
    Setting{"replication_factor",
            "copies of each shard, or the number of nodes while fewer",
            [](C& c, T t) { return set_replication_factor(c.replication_factor, t); },
            [](const C& c) {
                return std::to_string(c.replication_factor);
            }},
    Setting{"snapshot_interval",
            "seconds (or a duration) between snapshots; 0: none",
            [](C& c, T t) { return set_seconds(c.snapshot_interval, t); },
            [](const C& c) {
                return format_duration(c.snapshot_interval);
            }},
    Setting{"durability",
            "when a write is answered: always (synced), interval, memory",
            [](C& c, T t) { return set_durability(c.durability, t); },
            [](const C& c) {
                return std::string(durability_name(c.durability));
            }},
    Setting{"default_engine",
            "engine of new keyspaces: lsm or memory",
            [](C& c, T t) -> Status {
                KVSTORE_TRY(c.default_engine, parse_engine(t));
                return {};
            },
            [](const C& c) {
                return std::string(engine_name(c.default_engine));
            }},
    Setting{"default_history",
            "how long new keyspaces keep old revisions; 0: not at all",
            [](C& c, T t) { return set_duration(c.default_history, t); },
            [](const C& c) {
                return format_duration(c.default_history);
            }},
    Setting{"insecure",
            "allow public addresses without TLS and authentication",
            [](C& c, T t) { return set_bool(c.insecure, t); },
            [](const C& c) { return show_bool(c.insecure); },
            /*is_flag=*/true},
    Setting{"limits.key_bytes_max",
            "largest key",
            [](C& c, T t) {
                return set_size(c.limits.key_bytes_max, t, kKeyBytesMin, mvcc::kKeyBytesMax);
            },
            [](const C& c) {
                return std::to_string(c.limits.key_bytes_max);
            }},
    Setting{"limits.value_bytes_max",
            "largest value",
            [](C& c, T t) {
                return set_size(c.limits.value_bytes_max, t, kValueBytesMin, mvcc::kValueBytesMax);
            },
            [](const C& c) {
                return std::to_string(c.limits.value_bytes_max);
            }},
    Setting{"limits.batch_items_max",
            "items of one batch request",
            [](C& c, T t) {
                return set_count(c.limits.batch_items_max, t, 1, mvcc::kCommandOperationsMax);
            },
            [](const C& c) {
                return std::to_string(c.limits.batch_items_max);
            }},
    Setting{"limits.scan_rows_max",
            "rows of one page",
            [](C& c, T t) { return set_count(c.limits.scan_rows_max, t, 1, 1'000'000); },
            [](const C& c) {
                return std::to_string(c.limits.scan_rows_max);
            }},
    Setting{"limits.memory_bytes_max",
            "data on the memory engine; 0: no limit; not given: 3/4 of the memory",
            [](C& c, T t) { return set_size(c.limits.memory_bytes_max, t, 0, kTiB); },
            [](const C& c) {
                return std::to_string(c.limits.memory_bytes_max);
            }},
    Setting{"limits.connections_max",
            "client connections of each protocol",
            [](C& c, T t) { return set_count(c.connections_max, t, 1, 1'000'000); },
            [](const C& c) {
                return std::to_string(c.connections_max);
            }},
    Setting{"limits.request_timeout",
            "for a request to arrive, and 1s more for each 16KiB that came",
            [](C& c, T t) { return set_request_timeout(c.request_timeout, t); },
            [](const C& c) {
                return format_duration(c.request_timeout);
            }},
    Setting{"limits.proposal_bytes_max",
            "writes under way, above which clients are told to retry",
            [](C& c, T t) { return set_size(c.proposal_bytes_max, t, kMiB, kTiB); },
            [](const C& c) {
                return std::to_string(c.proposal_bytes_max);
            }},
    Setting{"lsm.cache_bytes",
            "block cache shared by all lsm keyspaces",
            [](C& c, T t) { return set_size(c.lsm_cache_bytes, t, kMiB, kTiB); },
            [](const C& c) {
                return std::to_string(c.lsm_cache_bytes);
            }},
    Setting{"lsm.write_buffer_bytes",
            "memory for unflushed writes of all lsm keyspaces",
            [](C& c, T t) { return set_size(c.lsm_write_buffer_bytes, t, kMiB, kTiB); },
            [](const C& c) {
                return std::to_string(c.lsm_write_buffer_bytes);
            }},
    Setting{"lsm.compression",
            "none, lz4 or zstd",
            [](C& c, T t) { return set_compression(c.lsm_compression, t); },
            [](const C& c) {
                return std::string(compression_name(c.lsm_compression));
            }},
    Setting{"wal.segment_bytes",
            "size of one log file",
            [](C& c, T t) { return set_size(c.wal_segment_bytes, t, 64 * 1024, 4096 * kMiB); },
            [](const C& c) {
                return std::to_string(c.wal_segment_bytes);
            }},
    Setting{"io_uring",
            "use io_uring for files where the kernel allows it",
            [](C& c, T t) { return set_bool(c.io_uring, t); },
            [](const C& c) {
                return show_bool(c.io_uring);
            }},
    Setting{"log.level",
            "debug, info, warning, error or off",
            [](C& c, T t) { return set_log_level(c.log_level, t); },
            [](const C& c) {
                return show_log_level(c.log_level);
            }},
    Setting{"log.performance_interval",
            "how often a line with rates and latencies is logged; 0: never",
            [](C& c, T t) { return set_duration(c.performance_log_interval, t); },
            [](const C& c) {
                return format_duration(c.performance_log_interval);
            }},
};

// Whether listening on both would be listening twice on one address.
bool overlap(const env::Address& a, const env::Address& b) {
    const auto machine = [](const std::string& host) -> std::string_view {
        return host == "localhost" ? std::string_view("127.0.0.1") : std::string_view(host);
    };
    return a.port != 0 && a.port == b.port &&
           (is_any_interface(a) || is_any_interface(b) || machine(a.host) == machine(b.host));
}

std::string with_dashes(std::string_view name) {
    std::string text(name);
    std::ranges::replace_if(text, [](char c) { return c == '.' || c == '_'; }, '-');
    return text;
}

}  // namespace

std::string_view durability_name(storage::Durability durability) {
    switch (durability) {
        case storage::Durability::kAlways: return "always";
        case storage::Durability::kInterval: return "interval";
        case storage::Durability::kMemory: return "memory";
    }
    return "always";
}

std::string_view engine_name(replication::EngineKind engine) {
    return engine == replication::EngineKind::kMemory ? "memory" : "lsm";
}

Result<replication::EngineKind> parse_engine(std::string_view text) {
    if (text == "lsm") {
        return replication::EngineKind::kLsm;
    }
    if (text == "memory") {
        return replication::EngineKind::kMemory;
    }
    return invalid(quoted(text) + " is no engine: write lsm or memory");
}

std::string Setting::flag() const {
    return "--" + with_dashes(name);
}

std::string Setting::environment_variable() const {
    std::string variable = "KVSTORE_" + with_dashes(name);
    for (char& c : variable) {
        c = c == '-' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    }
    return variable;
}

std::span<const Setting> settings() {
    return kSettings;
}

const Setting* find_setting(std::string_view name) {
    const auto* found = std::ranges::find(kSettings, name, &Setting::name);
    return found == kSettings.end() ? nullptr : found;
}

Status apply_environment(Config& config, const char* (*lookup)(const char* name)) {
    for (const Setting& setting : kSettings) {
        const std::string variable = setting.environment_variable();
        if (const char* value = lookup(variable.c_str()); value != nullptr) {
            KVSTORE_CHECK_OK(setting.set(config, value).with_context(variable));
        }
    }
    return {};
}

Status apply_dotenv(Config& config, std::string_view content, std::string_view file) {
    std::size_t line_number = 0;
    while (!content.empty()) {
        ++line_number;
        const std::size_t end = std::min(content.find('\n'), content.size());
        std::string_view line = content.substr(0, end);
        content.remove_prefix(std::min(end + 1, content.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        constexpr std::string_view kName = "NODE_ADDRESS=";
        if (!line.starts_with(kName)) {
            continue;
        }
        std::string_view value = line.substr(kName.size());
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
            value = value.substr(1, value.size() - 2);
        }
        const std::string place = std::string(file) + ":" + std::to_string(line_number);
        // A name without a host means this machine, as it does for every default.
        const std::string address =
            value.starts_with(':') ? "127.0.0.1" + std::string(value) : std::string(value);
        KVSTORE_CHECK_OK(set_address(config.grpc_addr, address).with_context(place));
    }
    return {};
}

Status check_config(const Config& config) {
    struct Listener {
        std::string_view name;
        const env::Address& address;
    };
    const std::array listeners{Listener{"http.addr", config.http_addr},
                               Listener{"grpc.addr", config.grpc_addr},
                               Listener{"resp.addr", config.resp_addr},
                               Listener{"peer.addr", config.peer_addr}};
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        for (std::size_t j = i + 1; j < listeners.size(); ++j) {
            if (overlap(listeners[i].address, listeners[j].address)) {
                return invalid(std::string(listeners[i].name) + " and " +
                               std::string(listeners[j].name) + " are both " +
                               listeners[i].address.to_string() + "; give each its own port");
            }
        }
        if (!config.insecure && !listeners[i].address.is_loopback()) {
            return invalid(std::string(listeners[i].name) + " is " +
                           listeners[i].address.to_string() +
                           ", which other machines can reach, and there is neither TLS nor "
                           "authentication; write --insecure to allow it, or use 127.0.0.1");
        }
    }
    if (!config.join.empty() && !config.initial_cluster.empty()) {
        return invalid(
            "join and initial_cluster exclude each other: a node joins a cluster that "
            "runs, or begins one with others");
    }
    const bool names_others =
        !config.join.empty() || !config.peers.empty() || !config.initial_cluster.empty();
    if (!config.join.empty() && is_any_interface(advertised_peer(config, config.peer_addr))) {
        return invalid("peer.addr is " + config.peer_addr.to_string() +
                       ", which other nodes cannot call; say with --advertise host:port where they "
                       "find this one");
    }
    if (names_others && config.durability == storage::Durability::kMemory) {
        return invalid(
            "durability memory is for a node that is alone: a member of a cluster must not forget "
            "what it acknowledged; use interval or always");
    }
    if (!config.initial_cluster.empty()) {
        KVSTORE_TRY(const std::vector<NamedPeer> peers,
                    parse_initial_cluster(config.initial_cluster));
        if (std::ranges::find(peers, config.id, &NamedPeer::name) == peers.end()) {
            return invalid("initial_cluster does not name this node, '" + config.id +
                           "'; give --id one of its names");
        }
    }
    if (!config.join.empty()) {
        KVSTORE_CHECK_OK(parse_join(config.join).status());
    }
    if (!config.peers.empty()) {
        KVSTORE_CHECK_OK(parse_peers(config.peers).status());
    }
    return {};
}

}  // namespace kvstore::server
