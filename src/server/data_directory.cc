#include "server/data_directory.h"

#include <charconv>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/parse.h"

namespace kvstore::server {
namespace {

constexpr std::string_view kMarkerFile = "kvstore";
constexpr std::string_view kLockFile = "LOCK";

std::string hexadecimal(std::uint64_t value, std::size_t digits) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text(digits, '0');
    for (std::size_t i = digits; i > 0 && value > 0; --i, value >>= 4U) {
        text[i - 1] = kDigits[value & 15U];
    }
    return text;
}

std::string with_checksum(std::string content) {
    const std::uint32_t checksum = crc32c(content);
    return std::move(content) + "crc " + hexadecimal(checksum, 8) + "\n";
}

std::optional<std::string> field(std::string_view content, std::string_view name) {
    const std::string key = "\n" + std::string(name) + " ";
    const std::size_t at = content.find(key);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::size_t begin = at + key.size();
    return std::string(content.substr(begin, content.find('\n', begin) - begin));
}

Result<DataDirectory> read_marker(std::string_view content) {
    constexpr std::string_view kMagic = "kvstore-data ";
    const std::size_t crc_at = content.rfind("crc ");
    const auto version =
        content.starts_with(kMagic)
            ? parse_uint64(content.substr(kMagic.size(), content.find('\n') - kMagic.size()))
            : std::nullopt;
    if (version && *version > kDataFormat) {
        return Status(Code::kInvalidArgument,
                      "the data directory has format " + std::to_string(*version) +
                          ", and this version of kvstore knows formats up to " +
                          std::to_string(kDataFormat) + "; start a newer kvstore");
    }
    if (!version || crc_at == std::string_view::npos ||
        with_checksum(std::string(content.substr(0, crc_at))) != content) {
        return Status(Code::kCorruption,
                      "the file 'kvstore' in the data directory is damaged; restore it from a "
                      "backup of the directory");
    }
    DataDirectory directory;
    directory.node_id = field(content, "node").value_or("");
    directory.cluster_id = field(content, "cluster").value_or("");
    // Directories of the time before clusters are of the only node of one.
    const auto number = parse_uint64(field(content, "number").value_or("1"));
    directory.number = NodeId(number.value_or(1));
    directory.store = cluster_id_of(field(content, "store").value_or(directory.cluster_id));
    directory.founding = field(content, "founding").value_or("");
    directory.has_begun = field(content, "begun").has_value();
    return directory;
}

// Errors: kInvalidArgument: there is something that a first start cannot have left.
async::Task<Status> check_is_fresh(env::Disk* disk) {
    auto listed = co_await disk->list("");
    KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> entries, std::move(listed));
    // As env::write_file_atomically() leaves it.
    const std::string half_written = std::string(kMarkerFile) + ".new";
    for (const env::DirectoryEntry& entry : entries) {
        if (entry.name != kLockFile && entry.name != "lost+found" && entry.name != half_written) {
            co_return Status(Code::kInvalidArgument,
                             "the data directory is not empty ('" + entry.name +
                                 "') and has no file '" + std::string(kMarkerFile) +
                                 "', so it was not made by kvstore; use an empty one");
        }
    }
    co_return Status();
}

async::Task<Result<DataDirectory>> make_marker(env::Disk* disk,
                                               std::string node_id,
                                               FreshIdentity fresh) {
    KVSTORE_CO_CHECK_OK(co_await check_is_fresh(disk));
    DataDirectory directory;
    directory.node_id = std::move(node_id);
    directory.cluster_id = cluster_id_text(fresh.cluster_id);
    directory.number = fresh.number;
    directory.store = fresh.store;
    directory.founding = std::move(fresh.founding);
    KVSTORE_CO_CHECK_OK(co_await save_identity(disk, &directory));
    co_return std::move(directory);
}

}  // namespace

std::string cluster_id_text(std::uint64_t cluster_id) {
    return hexadecimal(cluster_id, 16);
}

std::uint64_t cluster_id_of(std::string_view text) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value, 16);
    return text.size() == 16 && read.ec == std::errc() && read.ptr == end ? value : 0;
}

async::Task<Status> save_identity(env::Disk* disk, const DataDirectory* directory) {
    std::string content = "kvstore-data " + std::to_string(kDataFormat) + "\n";
    content += "node " + directory->node_id + "\n";
    content += "cluster " + directory->cluster_id + "\n";
    content += "number " + std::to_string(directory->number.value()) + "\n";
    content += "store " + hexadecimal(directory->store, 16) + "\n";
    if (!directory->founding.empty()) {
        content += "founding " + directory->founding + "\n";
        content += directory->has_begun ? "begun yes\n" : "";
    }
    co_return co_await env::write_file_atomically(
        disk, std::string(kMarkerFile), with_checksum(std::move(content)));
}

async::Task<Result<DataDirectory>> open_data_directory(env::Disk* disk,
                                                       std::string node_id,
                                                       FreshIdentity fresh) {
    KVSTORE_CO_CHECK_OK(co_await disk->create_directories(""));
    const std::string marker(kMarkerFile);
    auto exists = co_await disk->exists(marker);
    KVSTORE_CO_TRY(const bool was_there, std::move(exists));
    if (!was_there) {
        // A directory of somebody else is left as it is, without a lock file.
        KVSTORE_CO_CHECK_OK(co_await check_is_fresh(disk));
    }
    auto locked = co_await disk->lock(std::string(kLockFile));
    KVSTORE_CO_TRY(std::unique_ptr<env::FileLock> lock, std::move(locked));

    // Again: another server may have made it meanwhile.
    auto exists_now = co_await disk->exists(marker);
    KVSTORE_CO_TRY(const bool found, std::move(exists_now));
    if (!found) {
        auto made = co_await make_marker(disk, std::move(node_id), std::move(fresh));
        if (made.ok()) {
            made->lock = std::move(lock);
        }
        co_return made;
    }
    auto content = co_await env::read_file(disk, marker, 64U << 10U);
    if (content.status().code() == Code::kTooLarge) {
        co_return Status(Code::kInvalidArgument,
                         "the file 'kvstore' in the data directory is not the one that kvstore "
                         "makes; use an empty directory");
    }
    if (!content.ok()) {
        co_return content.status();
    }
    auto read = read_marker(*content);
    if (!read.ok()) {
        co_return read.status();
    }
    if (read->node_id != node_id) {
        co_return Status(Code::kConflict,
                         "the data directory belongs to node '" + read->node_id + "', not to '" +
                             node_id + "'; start with --id " + read->node_id +
                             " or use another directory");
    }
    read->lock = std::move(lock);
    co_return read;
}

}  // namespace kvstore::server
