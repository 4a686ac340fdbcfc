#include "storage/snapshot/snapshot_files.h"

#include <algorithm>
#include <utility>

#include "storage/snapshot/snapshot.h"

namespace kvstore::storage {
namespace {

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kUnfinished = ".new";
constexpr std::size_t kIndexDigits = 20;

}  // namespace

std::string snapshot_name(Index applied) {
    const std::string digits = std::to_string(applied.value());
    return std::string(kPrefix) + std::string(kIndexDigits - digits.size(), '0') + digits;
}

std::optional<Index> find_snapshot_index(std::string_view file_name) noexcept {
    if (file_name.size() != kPrefix.size() + kIndexDigits || !file_name.starts_with(kPrefix)) {
        return std::nullopt;
    }
    std::uint64_t index = 0;
    for (const char digit : file_name.substr(kPrefix.size())) {
        const auto value = static_cast<std::uint64_t>(digit - '0');
        if (digit < '0' || digit > '9' || __builtin_mul_overflow(index, 10, &index) ||
            __builtin_add_overflow(index, value, &index)) {
            return std::nullopt;
        }
    }
    return Index(index);
}

async::Task<Result<std::vector<Index>>> list_snapshots(env::Env* env, std::string directory) {
    auto listed = co_await env->disk.list(directory);
    if (!listed.ok() && listed.status().code() == Code::kNotFound) {
        co_return std::vector<Index>();
    }
    KVSTORE_CO_TRY(const auto entries, std::move(listed));
    std::vector<Index> found;
    for (const env::DirectoryEntry& entry : entries) {
        if (const auto index = find_snapshot_index(entry.name)) {
            found.push_back(*index);
        }
    }
    std::sort(found.begin(), found.end());
    co_return found;
}

async::Task<Status> remove_unfinished(env::Env* env, std::string directory) {
    auto listed = co_await env->disk.list(directory);
    if (!listed.ok() && listed.status().code() == Code::kNotFound) {
        co_return Status();
    }
    KVSTORE_CO_TRY(const auto entries, std::move(listed));
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string name = entries[i].name;
        if (name.starts_with(kPrefix) && name.ends_with(kUnfinished)) {
            KVSTORE_CO_CHECK_OK(co_await env->disk.remove(directory + "/" + name));
        }
    }
    co_return Status();
}

async::Task<Status> remove_old_snapshots(env::Env* env, std::string directory) {
    auto listed = co_await list_snapshots(env, directory);
    KVSTORE_CO_TRY(const std::vector<Index> found, std::move(listed));
    if (found.size() <= kSnapshotKeepCount) {
        co_return Status();
    }
    for (std::size_t i = 0; i + kSnapshotKeepCount < found.size(); ++i) {
        const std::string path = directory + "/" + snapshot_name(found[i]);
        KVSTORE_CO_CHECK_OK(co_await env->disk.remove(path));
    }
    co_return co_await env->disk.sync_directory(directory);
}

async::Task<Result<std::optional<std::string>>> find_snapshot(env::Env* env,
                                                              std::string directory) {
    KVSTORE_CO_CHECK_OK(co_await remove_unfinished(env, directory));
    auto listed = co_await list_snapshots(env, directory);
    KVSTORE_CO_TRY(const std::vector<Index> found, std::move(listed));
    if (found.empty()) {
        co_return std::optional<std::string>();
    }
    // Its writer may have been killed between giving the name and making it durable. Whoever opens
    // it lets the log go, so a power cut must not be able to take the name back.
    KVSTORE_CO_CHECK_OK(co_await env->disk.sync_directory(directory));
    co_return std::optional<std::string>(directory + "/" + snapshot_name(found.back()));
}

}  // namespace kvstore::storage
