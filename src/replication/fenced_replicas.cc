#include "replication/fenced_replicas.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/log.h"
#include "base/parse.h"
#include "replication/shard_folder.h"

namespace kvstore::replication {
namespace {

constexpr std::size_t kDamagedLogsMax = 2;

}  // namespace

bool is_damage(const Status& why) {
    return why.code() == Code::kCorruption &&
           why.message().find("written by a newer kvstore") == std::string_view::npos;
}

void FencedReplicas::add_marked(DamagedReplica replica) {
    log_error("a replica takes no part: it is damaged, and waits to be made anew",
              {{"shard", replica.shard.value()}, {"reason", replica.why.to_string()}});
    replicas_.insert_or_assign(replica.shard, std::move(replica.why));
}

async::Task<Status> FencedReplicas::add(ShardId shard, Status why) {
    std::string reason(why.message());
    add_marked({.shard = shard, .why = std::move(why)});
    Status marked = co_await mark_shard_folder_damaged(&disk_, shard, std::move(reason));
    co_return marked;
}

std::vector<DamagedReplica> FencedReplicas::list() const {
    std::vector<DamagedReplica> all;
    all.reserve(replicas_.size());
    for (const auto& [shard, why] : replicas_) {
        all.push_back({.shard = shard, .why = why});
    }
    return all;
}

async::Task<Status> set_log_aside(env::Disk* disk, std::string folder) {
    KVSTORE_CO_TRY(const bool exists, co_await disk->exists(folder));
    if (!exists) {
        co_return Status();
    }
    const std::string prefix = folder + "-damaged-";
    auto listed = co_await disk->list("");
    KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> entries, std::move(listed));
    std::vector<std::uint64_t> numbers;
    for (const env::DirectoryEntry& entry : entries) {
        if (entry.name.starts_with(prefix)) {
            if (const auto number = parse_uint64(entry.name.substr(prefix.size()))) {
                numbers.push_back(*number);
            }
        }
    }
    std::ranges::sort(numbers);
    const std::uint64_t next = numbers.empty() ? 1 : numbers.back() + 1;
    const std::string aside = prefix + std::to_string(next);
    KVSTORE_CO_CHECK_OK(co_await disk->rename(folder, aside));
    KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(""));
    log_error("the write-ahead log cannot be read and was moved aside",
              {{"to", aside}, {"help", "it is kept for people; remove it when nobody needs it"}});
    const std::size_t kept = std::min(numbers.size(), kDamagedLogsMax - 1);
    for (std::size_t i = 0; i + kept < numbers.size(); ++i) {
        KVSTORE_CO_CHECK_OK(co_await disk->remove(prefix + std::to_string(numbers[i])));
    }
    co_return Status();
}

}  // namespace kvstore::replication
