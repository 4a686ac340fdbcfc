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
constexpr std::string_view kDroppedName = "dropped";
constexpr std::string_view kDamagedName = "damaged";
constexpr std::uint64_t kFileBytesMax = 64U << 10U;

std::string path_in(ShardId shard, std::string_view name) {
    return shard_folder(shard) + "/" + std::string(name);
}

std::string file_path(ShardId shard) {
    return path_in(shard, kFileName);
}

enum class FolderState : std::uint8_t {
    kWhole,       // has its file
    kUnfinished,  // of a creation or a drop that was cut short
    kDamaged,     // says so
    kLostFile,    // holds data and lost its file
};

async::Task<Result<FolderState>> look_at_folder(env::Disk* disk, ShardId shard) {
    KVSTORE_CO_TRY(const bool is_damaged, co_await disk->exists(path_in(shard, kDamagedName)));
    if (is_damaged) {
        co_return FolderState::kDamaged;
    }
    KVSTORE_CO_TRY(const bool has_file, co_await disk->exists(file_path(shard)));
    if (has_file) {
        co_return FolderState::kWhole;
    }
    KVSTORE_CO_TRY(const bool is_dropped, co_await disk->exists(path_in(shard, kDroppedName)));
    KVSTORE_CO_TRY(const bool has_engine, co_await disk->exists(shard_engine_folder(shard)));
    if (is_dropped || !has_engine) {
        co_return FolderState::kUnfinished;
    }
    auto listed = co_await disk->list(shard_engine_folder(shard));
    KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> data, std::move(listed));
    co_return data.empty() ? FolderState::kUnfinished : FolderState::kLostFile;
}

Status lost_file(ShardId shard) {
    return {
        Code::kCorruption,
        file_path(shard) + " is missing, though the folder holds data; restore it from a backup"};
}

struct Folder {
    ShardId id;
    FolderState state = FolderState::kWhole;
};

// Every folder below shards/ that may be a shard's.
async::Task<Result<std::vector<Folder>>> look_at_folders(env::Disk* disk) {
    std::vector<Folder> folders;
    KVSTORE_CO_TRY(const bool exists, co_await disk->exists(std::string(kShardsFolder)));
    if (!exists) {
        co_return folders;
    }
    auto listed = co_await disk->list(std::string(kShardsFolder));
    KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> entries, std::move(listed));
    for (const env::DirectoryEntry& entry : entries) {
        const auto id = parse_uint64(entry.name);
        if (entry.is_directory && id) {
            KVSTORE_CO_TRY(const FolderState state, co_await look_at_folder(disk, ShardId(*id)));
            folders.push_back({.id = ShardId(*id), .state = state});
        }
    }
    std::ranges::sort(folders, {}, &Folder::id);
    co_return folders;
}

// What the mark says.
async::Task<Status> read_damage(env::Disk* disk, ShardId shard) {
    const auto read = co_await env::read_file(disk, path_in(shard, kDamagedName), kFileBytesMax);
    co_return Status(Code::kCorruption,
                     read.ok() ? std::string(*read) : std::string("it is marked as damaged"));
}

async::Task<Result<ShardDescription>> read_shard_file(env::Disk* disk, ShardId shard) {
    const std::string path = file_path(shard);
    auto read = co_await env::read_file(disk, path, kFileBytesMax);
    KVSTORE_CO_TRY(const Bytes content, std::move(read));
    auto description = decode_shard_file(content);
    if (!description.ok()) {
        co_return description.status().with_context(path);
    }
    if (description->id != shard) {
        co_return Status(Code::kCorruption,
                         path + ": describes shard " + std::to_string(description->id.value()));
    }
    co_return description;
}

std::string hexadecimal(std::uint32_t value) {
    std::array<char, 8> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return {digits.data(), written.ptr};
}

// "self", "1,2,3", or "none" for a member that joined later.
std::string founders_text(const ShardDescription& description) {
    if (description.is_newcomer) {
        return "none";
    }
    std::string text;
    for (const NodeId founder : description.founders) {
        text += (text.empty() ? "" : ",") + std::to_string(founder.value());
    }
    return text.empty() ? "self" : text;
}

bool parse_founders(std::string_view text, ShardDescription& description) {
    description.is_newcomer = text == "none";
    if (description.is_newcomer || text == "self") {
        return true;
    }
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const auto id = parse_uint64(text.substr(0, comma));
        if (!id) {
            return false;
        }
        description.founders.emplace_back(*id);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return true;
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
    content += "founders " + founders_text(description) + "\n";
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
    const auto founders = take_line(content, "founders");
    const auto id_number = parse_uint64(id.value_or(""));
    const auto history_number = parse_uint64(history.value_or(""));
    ShardDescription description;
    if (!id_number || !history_number || !keyspace || (engine != "memory" && engine != "lsm") ||
        !founders || !parse_founders(*founders, description)) {
        return Status(Code::kCorruption, "unreadable shard description");
    }
    description.id = ShardId(*id_number);
    description.engine = engine == "memory" ? EngineKind::kMemory : EngineKind::kLsm;
    description.history_ms = *history_number;
    description.keyspace = std::string(*keyspace);
    return description;
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

async::Task<Result<ShardFolders>> look_at_shard_folders(env::Disk* disk) {
    auto looked = co_await look_at_folders(disk);
    KVSTORE_CO_TRY(const std::vector<Folder> folders, std::move(looked));
    ShardFolders found;
    for (const Folder& folder : folders) {
        Status damage;
        switch (folder.state) {
            case FolderState::kUnfinished: continue;
            case FolderState::kDamaged: damage = co_await read_damage(disk, folder.id); break;
            case FolderState::kLostFile: damage = lost_file(folder.id); break;
            case FolderState::kWhole: {
                auto read = co_await read_shard_file(disk, folder.id);
                damage = read.status();
                if (read.ok()) {
                    found.whole.push_back(*std::move(read));
                }
                break;
            }
        }
        if (damage.ok()) {
            continue;
        }
        if (damage.code() != Code::kCorruption && damage.code() != Code::kTooLarge) {
            co_return damage;
        }
        found.damaged.push_back(
            {.shard = folder.id, .why = Status(Code::kCorruption, std::string(damage.message()))});
    }
    co_return found;
}

async::Task<Result<std::vector<ShardDescription>>> list_shard_folders(env::Disk* disk) {
    auto looked = co_await look_at_shard_folders(disk);
    KVSTORE_CO_TRY(ShardFolders folders, std::move(looked));
    if (!folders.damaged.empty()) {
        co_return folders.damaged.front().why;
    }
    co_return std::move(folders.whole);
}

async::Task<Status> mark_shard_folder_damaged(env::Disk* disk, ShardId shard, std::string why) {
    KVSTORE_CO_CHECK_OK(co_await disk->create_directories(shard_folder(shard)));
    KVSTORE_CO_CHECK_OK(
        co_await env::write_file_atomically(disk, path_in(shard, kDamagedName), std::move(why)));
    KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(std::string(kShardsFolder)));
    co_return co_await disk->sync_directory("");
}

async::Task<Status> remove_unfinished_shard_folders(env::Disk* disk) {
    auto looked = co_await look_at_folders(disk);
    KVSTORE_CO_TRY(const std::vector<Folder> folders, std::move(looked));
    for (const Folder& folder : folders) {
        if (folder.state == FolderState::kLostFile) {
            co_return lost_file(folder.id);
        }
    }
    for (const Folder& folder : folders) {
        if (folder.state == FolderState::kUnfinished) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard_folder(disk, folder.id));
        }
    }
    co_return Status();
}

async::Task<Status> mark_shard_folder_dropped(env::Disk* disk, ShardId shard) {
    // A damaged one may have lost its file.
    for (const std::string_view name : {kFileName, kDamagedName}) {
        const Status renamed =
            co_await disk->rename(path_in(shard, name), path_in(shard, kDroppedName));
        if (!renamed.ok() && renamed.code() != Code::kNotFound) {
            co_return renamed;
        }
    }
    KVSTORE_CO_TRY(const bool exists, co_await disk->exists(shard_folder(shard)));
    if (!exists) {
        co_return Status();
    }
    co_return co_await disk->sync_directory(shard_folder(shard));
}

async::Task<Status> remove_shard_folder(env::Disk* disk, ShardId shard) {
    KVSTORE_CO_CHECK_OK(co_await mark_shard_folder_dropped(disk, shard));
    KVSTORE_CO_CHECK_OK(co_await disk->remove(shard_engine_folder(shard)));
    // The mark stays until all data is gone for certain.
    KVSTORE_CO_TRY(const bool exists, co_await disk->exists(shard_folder(shard)));
    if (exists) {
        KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(shard_folder(shard)));
    }
    KVSTORE_CO_CHECK_OK(co_await disk->remove(shard_folder(shard)));
    co_return co_await disk->sync_directory(std::string(kShardsFolder));
}

}  // namespace kvstore::replication
