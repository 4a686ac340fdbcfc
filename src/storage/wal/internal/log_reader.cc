#include "storage/wal/internal/log_reader.h"

#include <algorithm>
#include <utility>

#include "async/sync.h"
#include "base/planted_bug.h"

namespace kvstore::storage {
namespace {

// How often a place that looks damaged is read again before it counts as damaged.
constexpr int kReadAgainCount = 2;

}  // namespace

LogReader::LogReader(env::Env* env, std::string directory, LogVisitor* visitor)
    : env_(env), directory_(std::move(directory)), visitor_(visitor) {}

env::OpenOptions LogReader::open_options() {
    return {.writable = false, .direct = !planted_bug(PlantedBug::kWalTrustPageCache)};
}

std::string LogReader::path_of(std::uint64_t number) const {
    return directory_ + "/" + segment_name({.kind = SegmentName::Kind::kUsed, .number = number});
}

Status LogReader::damaged(std::uint64_t number, std::uint64_t offset, std::string_view what) const {
    return {Code::kCorruption,
            path_of(number) + " at " + std::to_string(offset) + ": " + std::string(what) +
                "; run `kvstore verify-data` to see what is damaged"};
}

async::Task<Result<LogContent>> LogReader::read() {
    KVSTORE_CO_CHECK_OK(co_await find_segments());
    KVSTORE_CO_CHECK_OK(co_await drop_front());
    for (std::size_t slot = 0; slot < segments_.size(); ++slot) {
        auto end = co_await read_segment(slot);
        KVSTORE_CO_TRY(const End ended, std::move(end));
        if (ended == End::kBad) {
            KVSTORE_CO_CHECK_OK(co_await judge_end(slot));
            break;
        }
    }
    for (const Segment& segment : segments_) {
        if (!has_records_ || segment.header.number > content_.last_segment) {
            content_.unused.push_back(
                {.kind = SegmentName::Kind::kUsed, .number = segment.header.number});
        }
    }
    content_.first_segment = has_records_ ? segments_.front().header.number : 0;
    content_.segment_count = has_records_ ? content_.last_segment - content_.first_segment + 1 : 0;
    co_return std::move(content_);
}

// Leaves out the oldest segments that are not the log's beginning.
async::Task<Status> LogReader::drop_front() {
    while (!segments_.empty()) {
        bool is_blank = false;
        if (!is_released_front()) {
            auto looked = co_await is_blank_front();
            KVSTORE_CO_TRY(is_blank, std::move(looked));
            if (!is_blank) {
                break;
            }
        }
        content_.unused.push_back(
            {.kind = SegmentName::Kind::kUsed, .number = segments_.front().header.number});
        segments_.erase(segments_.begin());
    }
    co_return Status();
}

// Whether the oldest segment begins with copies though a later one begins with a checkpoint: the
// log was being shortened up to that one when it crashed, and what the copies continue has gone.
bool LogReader::is_released_front() const {
    return segments_.front().first && !segments_.front().opens_with_checkpoint &&
           std::any_of(segments_.begin(), segments_.end(), [](const Segment& segment) {
               return segment.first && segment.opens_with_checkpoint;
           });
}

// Whether no record begins in the oldest segment, though later ones hold records: what an earlier
// recovery read there from the page cache it copied, and the original went with the power. Damage
// is not mistaken for it, but for a segment's only record, whose entries their group then misses.
async::Task<Result<bool>> LogReader::is_blank_front() {
    if (segments_.front().first || !first_record_behind(0)) {
        co_return false;
    }
    const SegmentHeader header = segments_.front().header;
    auto opened = co_await env_->disk.open(path_of(header.number), open_options());
    KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
    auto searched = co_await find_later_record(file.get(), header, kSegmentHeaderSize, Sequence());
    KVSTORE_CO_TRY(const Later found, std::move(searched));
    co_return found == Later::kNone;
}

// Finds the files, and of each segment what it begins with.
async::Task<Status> LogReader::find_segments() {
    auto listed = co_await env_->disk.list(directory_);
    KVSTORE_CO_TRY(const auto entries, std::move(listed));
    for (const env::DirectoryEntry& entry : entries) {
        const std::optional<SegmentName> name = find_segment_name(entry.name);
        if (!name || entry.is_directory) {
            continue;
        }
        if (name->kind == SegmentName::Kind::kUsed) {
            numbers_.push_back(name->number);
        } else {
            content_.unused.push_back(*name);
        }
    }
    std::sort(numbers_.begin(), numbers_.end());
    KVSTORE_CO_CHECK_OK(check_numbers());
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
        auto looked = co_await look_at_segment(numbers_[i]);
        KVSTORE_CO_TRY(Segment segment, std::move(looked));
        segments_.push_back(segment);
    }
    co_return Status();
}

Status LogReader::check_numbers() const {
    for (std::size_t i = 1; i < numbers_.size(); ++i) {
        if (numbers_[i] != numbers_[i - 1] + 1) {
            return {Code::kCorruption,
                    path_of(numbers_[i - 1] + 1) +
                        " is missing, though there are segments before and after it; run "
                        "`kvstore verify-data` to see what is damaged"};
        }
    }
    return {};
}

async::Task<Result<LogReader::Segment>> LogReader::look_at_segment(std::uint64_t number) {
    auto opened = co_await env_->disk.open(path_of(number), open_options());
    KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
    Segment segment;
    for (int attempt = 0;; ++attempt) {
        auto read = co_await file->read(0, kSegmentHeaderSize);
        KVSTORE_CO_TRY(const Bytes bytes, std::move(read));
        auto decoded = decode_segment_header(bytes);
        if (decoded.ok()) {
            segment.header = *decoded;
            break;
        }
        if (attempt == kReadAgainCount) {
            co_return damaged(number, 0, decoded.status().message());
        }
    }
    if (segment.header.number != number) {
        co_return damaged(
            number, 0, "the segment header names segment " + std::to_string(segment.header.number));
    }
    RecordScanner scanner(file.get(), segment.header);
    auto looked = co_await look_twice(&scanner);
    KVSTORE_CO_TRY(const RecordScanner::Found found, std::move(looked));
    if (found == RecordScanner::Found::kRecord) {
        segment.first = scanner.header();
        segment.opens_with_checkpoint = begins_with_checkpoint(scanner.payload());
    }
    co_return segment;
}

// Looks for a record; what is none is read again, in case a bit flipped on its way here.
async::Task<Result<RecordScanner::Found>> LogReader::look_twice(RecordScanner* scanner) {
    int again_count = 0;
    for (;;) {
        const RecordScanner::Found found = scanner->look();
        if (found == RecordScanner::Found::kRecord) {
            co_return found;
        }
        if (found == RecordScanner::Found::kNeedMore) {
            KVSTORE_CO_CHECK_OK(co_await scanner->fill());
            co_await async::yield(env_->scheduler);
            continue;
        }
        if (again_count++ == kReadAgainCount) {
            co_return found;
        }
        KVSTORE_CO_CHECK_OK(co_await scanner->reload());
    }
}

// The record that the log goes on with behind the segment in `slot`. Segments without one are
// passed over: the only record of such a segment may have been read from the page cache, copied by
// that recovery, and then lost with the power.
std::optional<RecordHeader> LogReader::first_record_behind(std::size_t slot) const {
    for (std::size_t i = slot + 1; i < segments_.size(); ++i) {
        if (segments_[i].first) {
            return segments_[i].first;
        }
    }
    return std::nullopt;
}

async::Task<Result<LogReader::End>> LogReader::read_segment(std::size_t slot) {
    const SegmentHeader header = segments_[slot].header;
    // Where recovery copied the tail of this segment into a later one, the copy counts.
    const std::optional<RecordHeader> next = first_record_behind(slot);
    auto opened = co_await env_->disk.open(path_of(header.number), open_options());
    KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
    RecordScanner scanner(file.get(), header);
    const std::optional<RecordHeader> first = segments_[slot].first;
    if (first) {
        visitor_->on_segment(header.number, segments_[slot].opens_with_checkpoint);
    }
    for (;;) {
        const bool is_superseded =
            !has_records_ && first && next && next->sequence == first->sequence;
        const bool is_continued = has_records_ && next && next->sequence == content_.last.next();
        if (is_continued && !first) {
            // Passed over, and still one of the log's segments.
            visitor_->on_segment(header.number, /*opens_with_checkpoint=*/false);
        }
        if (is_superseded || is_continued) {
            co_return End::kNext;
        }
        // Most records stand whole in the buffer: no coroutine for those.
        RecordScanner::Found found = scanner.look();
        if (found != RecordScanner::Found::kRecord) {
            auto looked = co_await look_twice(&scanner);
            KVSTORE_CO_TRY(found, std::move(looked));
        }
        if (found != RecordScanner::Found::kRecord) {
            bad_offset_ = scanner.offset();
            co_return End::kBad;
        }
        KVSTORE_CO_CHECK_OK(take_record(scanner, header.number));
        scanner.advance();
    }
}

Status LogReader::take_record(const RecordScanner& scanner, std::uint64_t segment) {
    const RecordHeader& header = scanner.header();
    const bool may_follow_anything = !has_records_;
    const bool in_order = may_follow_anything || header.sequence == content_.last.next() ||
                          planted_bug(PlantedBug::kWalAcceptStaleRecords);
    if (!in_order) {
        return damaged(segment,
                       scanner.offset(),
                       "record " + std::to_string(header.sequence.value()) + " where " +
                           std::to_string(content_.last.next().value()) + " should be");
    }
    const bool is_chained = may_follow_anything || header.previous == content_.last_checksum ||
                            planted_bug(PlantedBug::kWalIgnoreChain) ||
                            planted_bug(PlantedBug::kWalAcceptStaleRecords);
    if (!is_chained) {
        return damaged(segment, scanner.offset(), "the record does not continue the one before it");
    }
    const Status visited = visit_items(scanner.payload(), *visitor_);
    if (!visited.ok()) {
        return visited.code() == Code::kCorruption
                   ? damaged(segment, scanner.offset(), visited.message())
                   : visited;
    }
    has_records_ = true;
    content_.last_checksum = header.checksum;
    content_.last_segment = segment;
    content_.last = header.sequence;
    content_.record_count += 1;
    content_.tail.push_back({.segment = segment,
                             .offset = scanner.offset(),
                             .sequence = header.sequence,
                             .length = header.length,
                             .checksum = header.checksum,
                             .previous = header.previous});
    while (!content_.tail.empty() && content_.tail.front().sequence <= header.durable) {
        content_.tail.pop_front();
    }
    content_.durable = std::max(content_.durable, header.durable);
    return {};
}

// Decides what it means that no whole record stands at bad_offset_ of the segment in `slot`.
async::Task<Status> LogReader::judge_end(std::size_t slot) {
    const std::uint64_t number = segments_[slot].header.number;
    const std::uint64_t bad_offset = bad_offset_;
    Later later = Later::kNone;
    for (std::size_t i = slot; i < segments_.size(); ++i) {
        if (i > slot && segments_[i].first && segments_[i].first->sequence > content_.last) {
            later = Later::kContinued;
            break;
        }
        const SegmentHeader header = segments_[i].header;
        auto opened = co_await env_->disk.open(path_of(header.number), open_options());
        KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
        const std::uint64_t from = i == slot ? bad_offset : kSegmentHeaderSize;
        auto searched = co_await find_later_record(file.get(), header, from, content_.last);
        KVSTORE_CO_TRY(const Later found, std::move(searched));
        later = std::max(later, found);
        if (later == Later::kContinued) {
            break;
        }
        co_await async::yield(env_->scheduler);
    }
    if (later == Later::kContinued && !planted_bug(PlantedBug::kWalCutDamagedMiddle)) {
        co_return damaged(number, bad_offset, "a damaged record that later records continue");
    }
    if (!has_records_ && segments_[slot].header.first_sequence > Sequence(1)) {
        co_return damaged(number, bad_offset, "the log's first record is damaged");
    }
    KVSTORE_CO_CHECK_OK(co_await measure_torn(slot, bad_offset));
    if (slot + 1 < segments_.size()) {
        KVSTORE_CO_CHECK_OK(co_await measure_torn(slot + 1, kSegmentHeaderSize));
    }
    co_return Status();
}

// Counts the bytes of a record that was begun at `offset` and is not whole.
async::Task<Status> LogReader::measure_torn(std::size_t slot, std::uint64_t offset) {
    const SegmentHeader header = segments_[slot].header;
    auto opened = co_await env_->disk.open(path_of(header.number), open_options());
    KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
    const std::uint64_t begin = offset / env::kSectorSize * env::kSectorSize;
    const auto skipped = static_cast<std::size_t>(offset - begin);
    auto read = co_await file->read(begin, 2 * env::kSectorSize);
    KVSTORE_CO_TRY(const Bytes bytes, std::move(read));
    const RecordPlace place{.salt = header.salt, .segment = header.number, .offset = offset};
    const auto torn =
        find_record_header(ByteView(bytes).substr(std::min(skipped, bytes.size())), place);
    content_.torn_bytes += torn ? torn->size() : 0;
    co_return Status();
}

}  // namespace kvstore::storage
