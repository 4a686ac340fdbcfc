#include "replication/shard_folder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/parse.h"

namespace kvstore::replication {
namespace {

constexpr std::string_view kFirstLine = "kvstore-shard 1\n";
constexpr std::string_view kFileName = "shard";

std::string file_path(ShardId shard) {
    return shard_folder(shard) + "/" + std::string(kFileName);
}

std::string hexadecimal(std::uint32_t value) {
    std::array<char, 8> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return {digits.data(), written.ptr};
}

// The rest of the line "name rest\n" at the front of `content`, which it is taken from.
std::optional<std::string_view> take_line(std::string_view& content, std::string_view name) {
    const std::size_t end = content.find('\n');
    if (end == std::string_view::npos || !content.starts_with(name) || end <= name.size() ||
        content[name.size()] != ' ') {
        return std::nullopt;
    }
    const std::string_view rest = content.substr(name.size() + 1, end - name.size() - 1);
    content.remove_prefix(end + 1);
    return rest;
}

}  // namespace

std::string shard_folder(ShardId shard) {
    return std::string(kShardsFolder) + "/" + std::to_string(shard.value());
}

std::string shard_engine_folder(ShardId shard) {
    return shard_folder(shard) + "/engine";
}

std::string encode_shard_file(const ShardDescription& description) {
    std::string content(kFirstLine);
    content += "id " + std::to_string(description.id.value()) + "\n";
    content += "engine ";
    content += description.engine == EngineKind::kMemory ? "memory\n" : "lsm\n";
    content += "history_ms " + std::to_string(description.history_ms) + "\n";
    content += "keyspace " + description.keyspace + "\n";
    content += "crc " + hexadecimal(crc32c(content)) + "\n";
    return content;
}

Result<ShardDescription> decode_shard_file(std::string_view content) {
    const std::size_t crc_at = content.rfind("crc ");
    if (crc_at == std::string_view::npos ||
        content.substr(crc_at) != "crc " + hexadecimal(crc32c(content.substr(0, crc_at))) + "\n") {
        return Status(Code::kCorruption, "checksum does not match");
    }
    if (!content.starts_with(kFirstLine)) {
        return Status(Code::kCorruption,
                      "not a shard description of version 1; was it written by a newer kvstore?");
    }
    content.remove_prefix(kFirstLine.size());
    const auto id = take_line(content, "id");
    const auto engine = take_line(content, "engine");
    const auto history = take_line(content, "history_ms");
    const auto keyspace = take_line(content, "keyspace");
    const auto id_number = parse_uint64(id.value_or(""));
    const auto history_number = parse_uint64(history.value_or(""));
    if (!id_number || !history_number || !keyspace || (engine != "memory" && engine != "lsm")) {
        return Status(Code::kCorruption, "unreadable shard description");
    }
    return ShardDescription{.id = ShardId(*id_number),
                            .engine = engine == "memory" ? EngineKind::kMemory : EngineKind::kLsm,
                            .history_ms = *history_number,
                            .keyspace = std::string(*keyspace)};
}

async::Task<Status> create_shard_folder(env::Disk* disk, ShardDescription description) {
    const std::string path = file_path(description.id);
    auto exists = co_await disk->exists(path);
    KVSTORE_CO_TRY(const bool found, std::move(exists));
    if (found) {
        co_return Status(Code::kAlreadyExists, path + " exists already");
    }
    KVSTORE_CO_CHECK_OK(co_await disk->create_directories(shard_engine_folder(description.id)));
    KVSTORE_CO_CHECK_OK(
        co_await env::write_file_atomically(disk, path, encode_shard_file(description)));
    KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(std::string(kShardsFolder)));
    co_return co_await disk->sync_directory("");
}

async::Task<Result<std::vector<ShardDescription>>> list_shard_folders(env::Disk* disk) {
    KVSTORE_CO_CHECK_OK(co_await disk->create_directories(std::string(kShardsFolder)));
    auto listed = co_await disk->list(std::string(kShardsFolder));
    KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> entries, std::move(listed));
    std::vector<ShardDescription> shards;
    for (const env::DirectoryEntry& entry : entries) {
        const auto id = parse_uint64(entry.name);
        if (!entry.is_directory || !id) {
            continue;
        }
        const std::string path = file_path(ShardId(*id));
        auto exists = co_await disk->exists(path);
        KVSTORE_CO_TRY(const bool found, std::move(exists));
        if (!found) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard_folder(disk, ShardId(*id)));
            continue;
        }
        auto read = co_await env::read_file(disk, path, 64U << 10U);
        KVSTORE_CO_TRY(const Bytes content, std::move(read));
        auto description = decode_shard_file(content);
        if (!description.ok()) {
            co_return description.status().with_context(path);
        }
        if (description->id != ShardId(*id)) {
            co_return Status(Code::kCorruption,
                             path + ": describes shard " + std::to_string(description->id.value()));
        }
        shards.push_back(*std::move(description));
    }
    std::ranges::sort(shards, {}, &ShardDescription::id);
    co_return shards;
}

async::Task<Status> remove_shard_folder(env::Disk* disk, ShardId shard) {
    // The description goes first: a folder without one is removed at the next start.
    KVSTORE_CO_CHECK_OK(co_await disk->remove(file_path(shard)));
    KVSTORE_CO_CHECK_OK(co_await disk->remove(shard_folder(shard)));
    co_return co_await disk->sync_directory(std::string(kShardsFolder));
}

}  // namespace kvstore::replication
