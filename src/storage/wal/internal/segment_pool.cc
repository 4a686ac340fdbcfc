#include "storage/wal/internal/segment_pool.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "async/sync.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "storage/wal/internal/record_buffer.h"

namespace kvstore::storage {
namespace {

constexpr std::size_t kZeroPieceSize = 256U << 10U;

SegmentName used(std::uint64_t number) {
    return {.kind = SegmentName::Kind::kUsed, .number = number};
}
SegmentName fresh(std::uint64_t number) {
    return {.kind = SegmentName::Kind::kNew, .number = number};
}
SegmentName freed(std::uint64_t number) {
    return {.kind = SegmentName::Kind::kFree, .number = number};
}

// One header sector, or a header and zeros after it.
RecordBuffer header_piece(const SegmentHeader& header, std::size_t size) {
    RecordBuffer piece;
    static_cast<void>(piece.room(size));
    std::memset(piece.data(), 0, size);
    const auto bytes = encode_segment_header(header);
    std::memcpy(piece.data(), bytes.data(), bytes.size());
    return piece;
}

}  // namespace

SegmentPool::SegmentPool(env::Env* env, std::string directory, Options options)
    : env_(env), directory_(std::move(directory)), options_(options) {}

std::string SegmentPool::path_of(SegmentName name) const {
    return directory_ + "/" + segment_name(name);
}

async::Task<Status> SegmentPool::sync_names() {
    if (planted_bug(PlantedBug::kWalSkipDirectorySync)) {
        co_return Status();
    }
    co_return co_await env_->disk.sync_directory(directory_);
}

async::Task<Status> SegmentPool::adopt(std::vector<SegmentName> unused, std::uint64_t first) {
    // Towards the log from both its ends, each made durable before the next: a crash in between
    // must not leave a gap in the numbers.
    std::sort(unused.begin(), unused.end(), [first](const SegmentName& a, const SegmentName& b) {
        const bool a_before = a.number < first;
        const bool b_before = b.number < first;
        if (a_before != b_before) {
            return a_before;
        }
        return a_before ? a.number < b.number : a.number > b.number;
    });
    // And the names as they stand first: a start that follows a kill may see a renaming that a
    // power cut would still take back, over a header that was written anew meanwhile.
    KVSTORE_CO_CHECK_OK(co_await sync_names());
    for (std::size_t i = 0; i < unused.size(); ++i) {
        const SegmentName name = unused[i];
        if (name.kind == SegmentName::Kind::kUsed) {
            KVSTORE_CO_CHECK_OK(co_await recycle(name.number));
        } else if (name.kind == SegmentName::Kind::kFree && free_.size() < options_.free_max) {
            free_.push_back(name.number);
        } else {
            KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path_of(name)));
        }
    }
    co_return Status();
}

async::Task<Status> SegmentPool::recycle(std::uint64_t number) {
    // A free file of the same number may wait, or be on its way to become a segment: renaming over
    // it would put another file under its new name.
    const bool is_known =
        number == in_preparation_ || std::find(free_.begin(), free_.end(), number) != free_.end();
    if (free_.size() >= options_.free_max || is_known) {
        KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path_of(used(number))));
        co_return co_await sync_names();
    }
    const Status renamed =
        co_await env_->disk.rename(path_of(used(number)), path_of(freed(number)));
    if (renamed.code() == Code::kDiskFull) {
        // Not even for a name; removing needs none.
        KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path_of(used(number))));
        co_return co_await sync_names();
    }
    KVSTORE_CO_CHECK_OK(renamed);
    // Before the header is written anew: a crash must not bring the old name back over it. And
    // before the next segment goes: names must leave in order.
    KVSTORE_CO_CHECK_OK(co_await sync_names());
    free_.push_back(number);
    co_return Status();
}

async::Task<Result<OpenSegment>> SegmentPool::prepare(Wanted wanted) {
    if (free_.empty()) {
        KVSTORE_CO_CHECK_OK(co_await check_space(wanted));
        auto made = co_await make_new(wanted);
        if (!made.ok() && made.status().code() != Code::kIoError) {
            KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path_of(fresh(wanted.number))));
        }
        co_return made;
    }
    const std::uint64_t free_number = free_.back();
    free_.pop_back();
    in_preparation_ = free_number;
    auto made = co_await make_of_free(wanted, free_number);
    in_preparation_.reset();
    if (!made.ok() && made.status().code() == Code::kDiskFull) {
        free_.push_back(free_number);
    }
    co_return made;
}

async::Task<Status> SegmentPool::check_space(Wanted wanted) {
    if (wanted.may_use_reserve) {
        co_return Status();
    }
    auto asked = co_await env_->disk.space();
    KVSTORE_CO_TRY(const env::DiskSpace space, std::move(asked));
    const std::uint64_t needed = wanted.size + options_.reserve_bytes;
    if (space.available < needed) {
        co_return Status(Code::kDiskFull,
                         std::to_string(space.available) +
                             " bytes are free, and a log segment with "
                             "the reserve needs " +
                             std::to_string(needed));
    }
    co_return Status();
}

SegmentHeader SegmentPool::header_for(const Wanted& wanted) {
    return {.alignment = options_.alignment,
            .number = wanted.number,
            .salt = env_->entropy.next(),
            .first_sequence = wanted.first_sequence,
            .size = wanted.size};
}

async::Task<Result<OpenSegment>> SegmentPool::make_new(Wanted wanted) {
    const SegmentHeader header = header_for(wanted);
    const std::string path = path_of(fresh(wanted.number));
    KVSTORE_CO_CHECK_OK(co_await env_->disk.remove(path));
    const env::OpenOptions options{.create = true,
                                   .direct = options_.alignment == kDirectAlignment};
    auto opened = co_await env_->disk.open(path, options);
    KVSTORE_CO_TRY(std::shared_ptr<env::File> file, std::move(opened));
    KVSTORE_CO_CHECK_OK(co_await write_zeros(file, header));
    KVSTORE_CO_CHECK_OK(co_await file->sync());
    KVSTORE_CO_CHECK_OK(co_await give_name(fresh(wanted.number), wanted.number));
    created_count_ += 1;
    co_return OpenSegment{.header = header, .file = std::move(file), .capacity = header.size};
}

async::Task<Status> SegmentPool::write_zeros(std::shared_ptr<env::File> file,
                                             SegmentHeader header) {
    RecordBuffer piece = header_piece(header, kZeroPieceSize);
    for (std::uint64_t offset = 0; offset < header.size; offset += kZeroPieceSize) {
        if (is_stopping_) {
            co_return Status(Code::kUnavailable, "the log is stopping");
        }
        const std::uint64_t size = std::min<std::uint64_t>(kZeroPieceSize, header.size - offset);
        const ByteView bytes(piece.data(), size);
        KVSTORE_CO_CHECK_OK(co_await file->write(offset, bytes));
        if (offset == 0) {
            std::memset(piece.data(), 0, kSegmentHeaderUsed);
        }
        // Commits go first.
        co_await async::yield(env_->scheduler);
    }
    co_return Status();
}

async::Task<Status> SegmentPool::extend(OpenSegment* segment, std::uint64_t capacity) {
    KVSTORE_ASSERT(segment->offset <= segment->capacity);
    RecordBuffer piece;
    static_cast<void>(piece.room(kZeroPieceSize));
    std::memset(piece.data(), 0, kZeroPieceSize);
    for (std::uint64_t offset = segment->capacity; offset < capacity; offset += kZeroPieceSize) {
        const std::uint64_t size = std::min<std::uint64_t>(kZeroPieceSize, capacity - offset);
        const ByteView bytes(piece.data(), size);
        KVSTORE_CO_CHECK_OK(co_await segment->file->write(offset, bytes));
    }
    segment->capacity = capacity;
    co_return Status();
}

async::Task<Result<OpenSegment>> SegmentPool::make_of_free(Wanted wanted,
                                                           std::uint64_t free_number) {
    const env::OpenOptions options{.direct = options_.alignment == kDirectAlignment};
    auto opened = co_await env_->disk.open(path_of(freed(free_number)), options);
    KVSTORE_CO_TRY(std::shared_ptr<env::File> file, std::move(opened));
    auto measured = co_await file->size();
    // Whole sectors of it, where direct I/O can go on.
    KVSTORE_CO_TRY(std::uint64_t size, std::move(measured));
    size = size / env::kSectorSize * env::kSectorSize;
    wanted.size = size;
    const SegmentHeader header = header_for(wanted);
    RecordBuffer piece = header_piece(header, kSegmentHeaderSize);
    const ByteView bytes(piece.data(), kSegmentHeaderSize);
    KVSTORE_CO_CHECK_OK(co_await file->write_durable(0, bytes));
    KVSTORE_CO_CHECK_OK(co_await give_name(freed(free_number), wanted.number));
    reused_count_ += 1;
    co_return OpenSegment{.header = header, .file = std::move(file), .capacity = size};
}

async::Task<Status> SegmentPool::give_name(SegmentName from, std::uint64_t number) {
    KVSTORE_CO_CHECK_OK(co_await env_->disk.rename(path_of(from), path_of(used(number))));
    co_return co_await sync_names();
}

}  // namespace kvstore::storage
