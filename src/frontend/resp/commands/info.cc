// INFO: what the server says about itself.
#include <array>
#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "base/build_info.h"
#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {
namespace {

constexpr std::uint64_t kMillisecondsPerSecond = 1000;
constexpr std::uint64_t kSecondsPerDay = 86'400;

// "name:value" lines.
class Lines {
public:
    explicit Lines(std::string& to) : to_(to) {}
    void add(std::string_view name, std::string_view value) {
        to_ += name;
        to_ += ':';
        to_ += value;
        to_ += "\r\n";
    }
    void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }

private:
    std::string& to_;
};

void add_server(Core& core, Lines& lines) {
    const std::uint64_t uptime = (core.now_ms() - core.started_ms()) / kMillisecondsPerSecond;
    const auto wall = std::chrono::duration_cast<std::chrono::microseconds>(
                          core.env().clock.wall_now().time_since_epoch())
                          .count();
    lines.add("redis_version", kRedisVersion);
    lines.add("kvstore_version", build_info().version);
    lines.add("redis_mode", "standalone");
    lines.add("os", "Linux");
    lines.add("arch_bits", std::to_string(sizeof(void*) * 8));
    lines.add("multiplexing_api", "epoll");
    lines.add("run_id", core.run_id());
    lines.add("tcp_port", std::to_string(core.options().port));
    lines.add("server_time_usec", std::to_string(wall));
    lines.add("uptime_in_seconds", uptime);
    lines.add("uptime_in_days", uptime / kSecondsPerDay);
    lines.add("hz", "10");
    lines.add("config_file", "");
}

void add_clients(Core& core, Lines& lines) {
    lines.add("connected_clients", core.session_count());
    lines.add("cluster_connections", "0");
    lines.add("maxclients", core.options().connections_max);
    lines.add("blocked_clients", "0");
    lines.add("tracking_clients", "0");
}

void add_memory(Core& core, Lines& lines) {
    std::uint64_t used = 0;
    for (const replication::ShardStatistics& shard : core.kv().host().statistics()) {
        used += shard.engine.memory_bytes;
    }
    lines.add("used_memory", used);
    lines.add("used_memory_human", format_size(used));
    lines.add("used_memory_dataset", used);
    lines.add("maxmemory", core.configuration().value("maxmemory"));
    lines.add("maxmemory_policy", core.configuration().value("maxmemory-policy"));
}

void add_persistence(Core& core, Lines& lines) {
    const storage::WalStatistics wal = core.kv().host().wal_statistics();
    lines.add("loading", "0");
    lines.add("async_loading", "0");
    lines.add("durability", core.options().durability);
    lines.add("rdb_changes_since_last_save", "0");
    lines.add("rdb_bgsave_in_progress", "0");
    lines.add("rdb_last_save_time", core.last_save_ms() / kMillisecondsPerSecond);
    lines.add("rdb_last_bgsave_status", "ok");
    lines.add("aof_enabled", core.options().durability == "memory" ? "0" : "1");
    lines.add("aof_rewrite_in_progress", "0");
    lines.add("aof_rewrite_scheduled", "0");
    lines.add("aof_last_bgrewrite_status", "ok");
    lines.add("aof_last_write_status", "ok");
    lines.add("wal_records", wal.record_count);
    lines.add("wal_bytes_written", wal.bytes_written);
    lines.add("wal_syncs", wal.sync_count);
    lines.add("wal_segments", wal.segment_count);
}

void add_stats(Core& core, Lines& lines) {
    const Statistics& statistics = core.statistics();
    lines.add("total_connections_received", statistics.connections);
    lines.add("total_commands_processed", statistics.commands);
    lines.add("rejected_connections", statistics.rejected_connections);
    lines.add("keyspace_hits", statistics.hits);
    lines.add("keyspace_misses", statistics.misses);
    lines.add("pubsub_channels", "0");
    lines.add("pubsub_patterns", "0");
    lines.add("total_error_replies", statistics.errors);
}

void add_replication(Core& core, Lines& lines) {
    lines.add("role", "master");
    lines.add("connected_slaves", "0");
    lines.add("master_failover_state", "no-failover");
    lines.add("master_replid", core.run_id());
    lines.add("master_repl_offset", "0");
}

void add_cpu(Core& /*core*/, Lines& /*lines*/) {
    // Times of the process stand in the metrics.
}

void add_modules(Core& /*core*/, Lines& /*lines*/) {}

void add_commandstats(Core& core, Lines& lines) {
    for (const CommandSpec& spec : CommandTable::all()) {
        const CommandStatistics& statistics = core.statistics_of(spec);
        if (statistics.calls + statistics.rejected_calls == 0) {
            continue;
        }
        lines.add("cmdstat_" + std::string(spec.name),
                  "calls=" + std::to_string(statistics.calls) +
                      ",usec=0,usec_per_call=0.00,rejected_calls=" +
                      std::to_string(statistics.rejected_calls) +
                      ",failed_calls=" + std::to_string(statistics.failed_calls));
    }
}

void add_errorstats(Core& core, Lines& lines) {
    for (const auto& [code, count] : core.errors()) {
        lines.add("errorstat_" + code, "count=" + std::to_string(count));
    }
}

void add_cluster(Core& /*core*/, Lines& lines) {
    lines.add("cluster_enabled", "0");
}

void add_keyspace(Core& core, Lines& lines) {
    for (unsigned database = 0; database < core.options().databases; ++database) {
        const kv::KeyspaceHandle keyspace = core.kv().find_keyspace(database_name(database));
        if (keyspace == nullptr) {
            continue;
        }
        std::uint64_t keys = 0;
        std::uint64_t expiring = 0;
        for (const kv::ShardHandle& shard : keyspace->shards()) {
            if (shard->group().has_replica()) {
                keys += shard->group().shard().state().key_count;
                expiring += shard->group().shard().state().expiring_key_count;
            }
        }
        if (keys > 0) {
            lines.add("db" + std::to_string(database),
                      "keys=" + std::to_string(keys) + ",expires=" + std::to_string(expiring) +
                          ",avg_ttl=0");
        }
    }
}

struct Section {
    std::string_view title;
    std::string_view name;
    bool is_default;
    void (*add)(Core&, Lines&);
};

constexpr auto kSections = std::to_array<Section>({
    {"Server", "server", true, add_server},
    {"Clients", "clients", true, add_clients},
    {"Memory", "memory", true, add_memory},
    {"Persistence", "persistence", true, add_persistence},
    {"Stats", "stats", true, add_stats},
    {"Replication", "replication", true, add_replication},
    {"CPU", "cpu", true, add_cpu},
    {"Modules", "modules", true, add_modules},
    {"Commandstats", "commandstats", false, add_commandstats},
    {"Errorstats", "errorstats", true, add_errorstats},
    {"Cluster", "cluster", true, add_cluster},
    {"Keyspace", "keyspace", true, add_keyspace},
});

}  // namespace

Outcome info_command(Call& call) {
    bool wants_default = call.size() == 1;
    bool wants_all = false;
    std::set<std::string> wanted;
    for (std::size_t at = 1; at < call.size(); ++at) {
        const std::string name = lower_case(call[at]);
        wants_default = wants_default || name == "default";
        wants_all = wants_all || name == "all" || name == "everything";
        wanted.insert(name);
    }
    std::string text;
    Lines lines(text);
    for (const Section& section : kSections) {
        if (wants_all || (wants_default && section.is_default) ||
            wanted.contains(std::string(section.name))) {
            text += text.empty() ? "# " : "\r\n# ";
            text += section.title;
            text += "\r\n";
            section.add(call.core(), lines);
        }
    }
    call.reply().verbatim(text);
    return Outcome::kReplied;
}

}  // namespace kvstore::resp
