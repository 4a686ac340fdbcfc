// The files of a log: prepares segments ahead of their use and takes emptied ones back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/wal/segment.h"

namespace kvstore::storage {

// A segment that is ready to be written.
struct OpenSegment {
    SegmentHeader header;
    std::shared_ptr<env::File> file;
    // How far bytes have been written, with zeros where there is no record yet: a record up to
    // there needs no space of the disk. Never below `offset`.
    std::uint64_t capacity = 0;
    // Where the next record goes.
    std::uint64_t offset = kSegmentHeaderSize;
};

// Lifetime  Owned by the log; nothing may run in it when it ends.
// Runs on   One core; one call at a time.
// Never     Hands out a segment whose header, bytes or name a crash could take away.
class SegmentPool {
public:
    struct Options {
        std::uint32_t alignment = kDirectAlignment;
        std::uint32_t free_max = 0;
        std::uint64_t reserve_bytes = 0;
    };

    SegmentPool(env::Env* env, std::string directory, Options options);

    // Takes over what recovery found unused before the log's `first` segment and behind its last:
    // renames it to free, or removes it. 0: the log has no segments.
    async::Task<Status> adopt(std::vector<SegmentName> unused, std::uint64_t first);

    struct Wanted {
        std::uint64_t number = 0;
        Sequence first_sequence;
        // What a new file is given; a free one keeps its size.
        std::uint64_t size = 0;
        // Recovery may go into the reserve: without a segment nothing can be written at all.
        bool may_use_reserve = false;
    };
    // Suspends: until the segment is on the device under its name.
    // Errors:   kDiskFull: nothing is left behind, try again later. kUnavailable after stop().
    //           kIoError: the disk is not to be trusted.
    async::Task<Result<OpenSegment>> prepare(Wanted wanted);

    // Makes a segment larger, with zeros that are not durable yet; also after stop().
    // Errors: kDiskFull: its capacity is what it was. kIoError.
    async::Task<Status> extend(OpenSegment* segment, std::uint64_t capacity);

    // Takes an emptied segment back. Errors: kIoError.
    async::Task<Status> recycle(std::uint64_t number);

    // Ends a preparation that is under way at its next step.
    void stop() { is_stopping_ = true; }

    // How many segments have been made anew, and made of free ones.
    [[nodiscard]] std::uint64_t created_count() const { return created_count_; }
    [[nodiscard]] std::uint64_t reused_count() const { return reused_count_; }

private:
    async::Task<Result<OpenSegment>> make_new(Wanted wanted);
    async::Task<Result<OpenSegment>> make_of_free(Wanted wanted, std::uint64_t free_number);
    async::Task<Status> check_space(Wanted wanted);
    async::Task<Status> write_zeros(std::shared_ptr<env::File> file, SegmentHeader header);
    async::Task<Status> give_name(SegmentName from, std::uint64_t number);
    async::Task<Status> sync_names();

    [[nodiscard]] SegmentHeader header_for(const Wanted& wanted);
    [[nodiscard]] std::string path_of(SegmentName name) const;

    env::Env* env_;
    std::string directory_;
    Options options_;
    std::vector<std::uint64_t> free_;
    std::optional<std::uint64_t> in_preparation_;  // the free file that becomes a segment now
    bool is_stopping_ = false;
    std::uint64_t created_count_ = 0;
    std::uint64_t reused_count_ = 0;
};

}  // namespace kvstore::storage
