#include "frontend/resp/internal/configuration.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/parse.h"
#include "frontend/resp/command.h"

namespace kvstore::resp {
namespace {

enum class Kind : std::uint8_t {
    kText,
    kNumber,
    kFlag,    // yes or no
    kMemory,  // with a unit
    kFixed,   // cannot be set
};

struct Parameter {
    std::string_view name;
    std::string_view value;
    Kind kind;
};

constexpr auto kParameters = std::to_array<Parameter>({
    {"active-expire-effort", "1", Kind::kNumber},
    {"activedefrag", "no", Kind::kFlag},
    {"activerehashing", "yes", Kind::kFlag},
    {"appendfilename", "appendonly.aof", Kind::kFixed},
    {"appendfsync", "always", Kind::kText},
    {"appendonly", "yes", Kind::kFlag},
    {"auto-aof-rewrite-percentage", "100", Kind::kNumber},
    {"bind", "", Kind::kText},
    {"busy-reply-threshold", "5000", Kind::kNumber},
    {"client-output-buffer-limit",
     "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
     Kind::kText},
    {"client-query-buffer-limit", "1073741824", Kind::kMemory},
    {"cluster-enabled", "no", Kind::kFixed},
    {"databases", "16", Kind::kFixed},
    {"dbfilename", "dump.rdb", Kind::kText},
    {"dir", ".", Kind::kText},
    {"dynamic-hz", "yes", Kind::kFlag},
    {"hash-max-listpack-entries", "512", Kind::kNumber},
    {"hash-max-listpack-value", "64", Kind::kMemory},
    {"hash-max-ziplist-entries", "512", Kind::kNumber},
    {"hash-max-ziplist-value", "64", Kind::kMemory},
    {"hll-sparse-max-bytes", "3000", Kind::kMemory},
    {"hz", "10", Kind::kNumber},
    {"io-threads", "1", Kind::kFixed},
    {"latency-monitor-threshold", "0", Kind::kNumber},
    {"latency-tracking", "no", Kind::kFlag},
    {"lazyfree-lazy-eviction", "no", Kind::kFlag},
    {"lazyfree-lazy-expire", "no", Kind::kFlag},
    {"lazyfree-lazy-server-del", "no", Kind::kFlag},
    {"lazyfree-lazy-user-del", "no", Kind::kFlag},
    {"lazyfree-lazy-user-flush", "no", Kind::kFlag},
    {"list-compress-depth", "0", Kind::kNumber},
    {"list-max-listpack-size", "-2", Kind::kNumber},
    {"list-max-ziplist-size", "-2", Kind::kNumber},
    {"logfile", "", Kind::kFixed},
    {"loglevel", "notice", Kind::kText},
    {"lua-time-limit", "5000", Kind::kNumber},
    {"maxclients", "10000", Kind::kNumber},
    {"maxmemory", "0", Kind::kMemory},
    {"maxmemory-policy", "noeviction", Kind::kText},
    {"maxmemory-samples", "5", Kind::kNumber},
    {"min-replicas-max-lag", "10", Kind::kNumber},
    {"min-replicas-to-write", "0", Kind::kNumber},
    {"min-slaves-to-write", "0", Kind::kNumber},
    {"notify-keyspace-events", "", Kind::kText},
    {"port", "0", Kind::kFixed},
    {"proto-max-bulk-len", "536870912", Kind::kMemory},
    {"rdb-key-save-delay", "0", Kind::kNumber},
    {"rdbchecksum", "yes", Kind::kFixed},
    {"rdbcompression", "yes", Kind::kFlag},
    {"repl-diskless-sync", "yes", Kind::kFlag},
    {"repl-timeout", "60", Kind::kNumber},
    {"replica-read-only", "yes", Kind::kFlag},
    {"replica-serve-stale-data", "yes", Kind::kFlag},
    {"sanitize-dump-payload", "no", Kind::kText},
    {"save", "", Kind::kText},
    {"set-max-intset-entries", "512", Kind::kNumber},
    {"slave-read-only", "yes", Kind::kFlag},
    {"slave-serve-stale-data", "yes", Kind::kFlag},
    {"slowlog-log-slower-than", "10000", Kind::kNumber},
    {"slowlog-max-len", "128", Kind::kNumber},
    {"stop-writes-on-bgsave-error", "yes", Kind::kFlag},
    {"stream-node-max-bytes", "4096", Kind::kMemory},
    {"stream-node-max-entries", "100", Kind::kNumber},
    {"tcp-keepalive", "300", Kind::kNumber},
    {"timeout", "0", Kind::kNumber},
    {"unixsocket", "", Kind::kFixed},
    {"zset-max-listpack-entries", "128", Kind::kNumber},
    {"zset-max-listpack-value", "64", Kind::kMemory},
    {"zset-max-ziplist-entries", "128", Kind::kNumber},
    {"zset-max-ziplist-value", "64", Kind::kMemory},
});

const Parameter* find(std::string_view name) {
    const auto* const at = std::ranges::find(kParameters, name, &Parameter::name);
    return at == kParameters.end() ? nullptr : at;
}

// "100mb": k, m, g are powers of 1000, kb, mb, gb of 1024.
std::optional<std::uint64_t> parse_memory(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_uint64(text.substr(0, digits));
    if (!number) {
        return std::nullopt;
    }
    struct MemoryUnit {
        std::string_view name;
        std::uint64_t bytes;
    };
    static constexpr auto kUnits = std::to_array<MemoryUnit>({
        {"", 1},
        {"b", 1},
        {"k", 1000},
        {"kb", 1ULL << 10U},
        {"m", 1'000'000},
        {"mb", 1ULL << 20U},
        {"g", 1'000'000'000},
        {"gb", 1ULL << 30U},
    });
    const std::string unit = lower_case(text.substr(digits));
    const auto* const found = std::ranges::find(kUnits, unit, &MemoryUnit::name);
    std::uint64_t bytes = 0;
    if (found == kUnits.end() || __builtin_mul_overflow(*number, found->bytes, &bytes)) {
        return std::nullopt;
    }
    return bytes;
}

}  // namespace

Configuration::Configuration() {
    for (const Parameter& parameter : kParameters) {
        values_.emplace(parameter.name, parameter.value);
    }
}

std::string_view Configuration::value(std::string_view name) const {
    const auto place = values_.find(name);
    KVSTORE_ASSERT(place != values_.end());
    return place->second;
}

bool Configuration::is_known(std::string_view name) {
    return find(name) != nullptr;
}

std::string_view Configuration::refusal(std::string_view name, std::string_view value) {
    const Parameter* const parameter = find(name);
    KVSTORE_ASSERT(parameter != nullptr);
    switch (parameter->kind) {
        case Kind::kText: return {};
        case Kind::kNumber:
            return parse_int64(value) ? "" : "argument couldn't be parsed into an integer";
        case Kind::kFlag:
            return equals_ignoring_case(value, "yes") || equals_ignoring_case(value, "no")
                       ? ""
                       : "argument must be 'yes' or 'no'";
        case Kind::kMemory: return parse_memory(value) ? "" : "argument must be a memory value";
        case Kind::kFixed: return "can't set immutable config";
    }
    return {};
}

void Configuration::set(std::string_view name, std::string_view value) {
    const auto place = values_.find(name);
    KVSTORE_ASSERT(place != values_.end());
    const Parameter* const parameter = find(name);
    if (parameter != nullptr && parameter->kind == Kind::kMemory) {
        place->second = std::to_string(parse_memory(value).value_or(0));
    } else if (parameter != nullptr && parameter->kind == Kind::kFlag) {
        place->second = lower_case(value);
    } else {
        place->second = value;
    }
}

}  // namespace kvstore::resp
