#include "storage/wal/internal/record_scanner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::storage {
namespace {

constexpr std::size_t kReadSize = 1U << 20U;

}  // namespace

RecordScanner::Found RecordScanner::look() {
    const ByteView bytes = unread();
    if (bytes.size() < kRecordHeaderSize) {
        needed_ = kRecordHeaderSize;
        return at_end_ ? Found::kNothing : Found::kNeedMore;
    }
    const RecordPlace place{.salt = segment_.salt, .segment = segment_.number, .offset = offset_};
    const std::optional<RecordHeader> header = find_record_header(bytes, place);
    if (!header) {
        return Found::kNothing;
    }
    if (bytes.size() < header->size()) {
        needed_ = header->size();
        return at_end_ ? Found::kNothing : Found::kNeedMore;
    }
    if (!is_record_whole(bytes, *header)) {
        return Found::kNothing;
    }
    header_ = *header;
    return Found::kRecord;
}

ByteView RecordScanner::payload() const {
    return unread().substr(kRecordHeaderSize, header_.length);
}

void RecordScanner::advance() {
    const std::uint64_t size = round_up(header_.size(), segment_.alignment);
    KVSTORE_ASSERT(size >= kRecordHeaderSize);
    offset_ += size;
    // The padding of the last record may lie behind the end of the file.
    used_ = std::min(buffer_.size(), used_ + static_cast<std::size_t>(size));
}

async::Task<Status> RecordScanner::fill() {
    KVSTORE_ASSERT(!at_end_);
    const std::uint64_t behind = offset_ + unread().size();
    const std::size_t missing = needed_ - std::min(needed_, unread().size());
    // Direct reads like whole sectors at both ends.
    const std::uint64_t begin = behind / env::kSectorSize * env::kSectorSize;
    const std::size_t size =
        round_up(std::max(missing + env::kSectorSize, kReadSize), env::kSectorSize);
    auto read = co_await file_->read(begin, size);
    KVSTORE_CO_TRY(const Bytes more, std::move(read));
    at_end_ = more.size() < size;
    buffer_.erase(0, used_);
    used_ = 0;
    const std::size_t skipped = static_cast<std::size_t>(behind - begin);
    if (more.size() > skipped) {
        buffer_.append(more, skipped);
    }
    co_return Status();
}

async::Task<Status> RecordScanner::reload() {
    buffer_.clear();
    used_ = 0;
    needed_ = kRecordHeaderSize;
    at_end_ = false;
    co_return co_await fill();
}

namespace {

// The places in one window at which a header could stand that is worth reading in full.
std::optional<std::size_t> find_candidate(ByteView window,
                                          std::size_t begin,
                                          std::size_t end,
                                          std::uint64_t window_offset,
                                          const SegmentHeader& segment,
                                          Sequence after) {
    // A generous bound on how many records one segment can hold keeps most of what is no header out
    // before its mark is computed.
    constexpr std::uint64_t kAheadMax = 1ULL << 32U;
    for (std::size_t at = begin; at < end && at + kRecordHeaderSize <= window.size();
         at += segment.alignment) {
        const auto sequence = load_fixed<std::uint64_t>(window.data() + at + 8);
        if (sequence <= after.value() || sequence - after.value() > kAheadMax) {
            continue;
        }
        const RecordPlace place{
            .salt = segment.salt, .segment = segment.number, .offset = window_offset + at};
        if (find_record_header(window.substr(at), place)) {
            return at;
        }
    }
    return std::nullopt;
}

// The header at `offset` if a whole record stands there.
async::Task<Result<std::optional<RecordHeader>>> read_record(env::File* file,
                                                             SegmentHeader segment,
                                                             std::uint64_t offset,
                                                             std::size_t size) {
    using Answer = std::optional<RecordHeader>;
    const std::uint64_t begin = offset / env::kSectorSize * env::kSectorSize;
    const auto skipped = static_cast<std::size_t>(offset - begin);
    auto read = co_await file->read(begin, round_up(skipped + size, env::kSectorSize));
    KVSTORE_CO_TRY(const Bytes bytes, std::move(read));
    const ByteView record = ByteView(bytes).substr(std::min(skipped, bytes.size()));
    const RecordPlace place{.salt = segment.salt, .segment = segment.number, .offset = offset};
    const Answer header = find_record_header(record, place);
    if (!header || record.size() < header->size() || !is_record_whole(record, *header)) {
        co_return Answer();
    }
    co_return header;
}

}  // namespace

async::Task<Result<Later>> find_later_record(env::File* file,
                                             SegmentHeader segment,
                                             std::uint64_t from,
                                             Sequence after) {
    Later later = Later::kNone;
    std::uint64_t window_offset = from / env::kSectorSize * env::kSectorSize;
    auto begin = static_cast<std::size_t>(from - window_offset);
    for (;;) {
        // One sector more than is looked at, so that no header is cut by the window's end.
        const std::size_t window_size = kReadSize + env::kSectorSize;
        auto read = co_await file->read(window_offset, window_size);
        KVSTORE_CO_TRY(const Bytes window, std::move(read));
        while (const auto at =
                   find_candidate(window, begin, kReadSize, window_offset, segment, after)) {
            const RecordPlace place{
                .salt = segment.salt, .segment = segment.number, .offset = window_offset + *at};
            const auto header = find_record_header(ByteView(window).substr(*at), place);
            auto whole = co_await read_record(file, segment, place.offset, header->size());
            KVSTORE_CO_TRY(const auto record, std::move(whole));
            if (record && record->durable > after) {
                co_return Later::kContinued;
            }
            later = record ? Later::kUnsynced : later;
            begin = *at + segment.alignment;
        }
        if (window.size() < window_size) {
            co_return later;
        }
        window_offset += kReadSize;
        begin = 0;
    }
}

}  // namespace kvstore::storage
