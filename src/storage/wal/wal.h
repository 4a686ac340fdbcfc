// The write-ahead log of one core: the entries of all its groups, one record a group commit.
//
// Every append of a turn goes into one record, written at the turn's end. While a record is on its
// way to the disk the next one gathers; there is never more than one in flight, so at most the last
// record can be half on disk, and then nobody was told of it. Formats: docs/internals/wal.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "env/env.h"

namespace kvstore::storage {

// When an append counts as done.
enum class Durability : std::uint8_t {
    kAlways,    // it is on the device: survives power loss
    kInterval,  // the operating system has it (survives kill -9); on the device within an interval
    kMemory,    // nothing is written: whoever uses the log does not append
};

// One entry of one group's log, in Raft's terms. `kind` belongs to the group.
struct LogEntry {
    GroupId group;
    Term term;
    Index index;
    std::uint8_t kind = 0;
    ByteView data;
};

// What a Raft member must not forget beside its entries.
struct LogState {
    GroupId group;
    Term term;
    NodeId vote;
    Index commit;
};

struct WalOptions {
    Durability durability = Durability::kAlways;
    Duration sync_interval = std::chrono::seconds(1);
    std::uint64_t segment_bytes = 64ULL << 20U;
    // Emptied segments kept for reuse; more are removed.
    std::uint32_t recycled_segments_max = 4;
    // Appends are refused (kDiskFull) when less would be left on the disk.
    std::uint64_t disk_reserve_bytes = 64ULL << 20U;
    // Gathered but unwritten bytes above which is_backed_up() is true.
    std::uint64_t buffer_bytes_max = 64ULL << 20U;
};

// What recovery finds, in the order in which it was written.
//
// A later entry at an index that exists already replaces it and everything after it in its group.
class WalVisitor {
public:
    virtual ~WalVisitor() = default;
    // An error ends recovery with that error.
    virtual Status on_entry(const LogEntry& entry) = 0;
    virtual Status on_state(const LogState& state) = 0;
    // The group's log begins after `index` (of `term`): its state up to there came from elsewhere.
    virtual Status on_start(GroupId group, Term term, Index index) = 0;
    // The group has gone from this node; earlier entries mean nothing.
    virtual Status on_drop(GroupId group) = 0;
};

// A group, as the log's user. Called on the core, from the loop, never from inside append().
class WalClient {
public:
    virtual ~WalClient() = default;
    // Everything this group appended up to and including `last` is done, as the durability says.
    virtual void on_durable(Index last) = 0;
    // The log has failed; nothing that was not reported durable ever will be (Effect::kUnknown: it
    // may be on the disk). Called once; the log refuses everything from then on.
    virtual void on_log_failed(const Status& why) = 0;
};

struct WalStatistics {
    std::uint64_t record_count = 0;
    std::uint64_t entry_count = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t sync_count = 0;
    std::uint64_t segment_count = 0;
    Sequence last_sequence;
};

// Lifetime  Owned by the core's storage. stop() before destruction.
// Runs on   One core.
// Never     Acknowledges what is not as durable as promised; forgets a record that later ones
//           continue; writes again after a failed write or sync.
class Wal {
public:
    virtual ~Wal() = default;

    // Recovers the log in `directory` (created when missing), shows every entry to `visitor`, cuts
    // a torn tail, and is ready for appends. Before it returns, everything shown is durable,
    // whatever the page cache said (FAULTS.md, rule 4). Errors: kCorruption with file, offset and
    // the command that can help: a damaged record that
    //           later ones continue, a missing segment, a segment of a newer version.
    //         kIoError, kDiskFull, kPermissionDenied; the visitor's.
    static async::Task<Result<std::unique_ptr<Wal>>> open(env::Env* env,
                                                          std::string directory,
                                                          WalOptions options,
                                                          WalVisitor* visitor);

    // Puts an entry into the record of this turn. `data` is copied.
    // Requires: the client outlives the log or has called drop(); its indexes rise by one, or go
    //           back to replace.
    // Errors:   kDiskFull, kUnavailable (the log has failed or is stopping): nothing was appended.
    virtual Status append(WalClient& client, const LogEntry& entry) = 0;
    virtual Status append_state(WalClient& client, const LogState& state) = 0;
    virtual Status append_start(WalClient& client, GroupId group, Term term, Index index) = 0;
    // Whether an entry of so many bytes would be refused now, behind others of `ahead` bytes that
    // are about to be appended. Errors: as append(); kTooLarge.
    [[nodiscard]] virtual Status check_append(std::size_t bytes, std::size_t ahead) const = 0;

    // Names the write that what is appended now becomes part of; rises from write to write. For a
    // group that cannot tell by indexes what is done, since a vote has none: it asks for it after
    // appending and compares it with durable_write() in on_durable().
    [[nodiscard]] virtual std::uint64_t gathering_write() const = 0;
    [[nodiscard]] virtual std::uint64_t durable_write() const = 0;

    // Forgets the group; durable with the next record. Its client is not called again.
    virtual Status drop(GroupId group) = 0;

    // Entries of `group` up to and including `index` are not needed any more. Segments in which
    // nobody needs anything are recycled.
    virtual void release(GroupId group, Index index) = 0;
    // A group for which the oldest segment is kept; nullopt: it is kept for nobody, or is the only
    // one. Who wants a shorter log makes this group release more.
    [[nodiscard]] virtual std::optional<GroupId> find_laggard() = 0;

    // True while more is gathered than the disk takes: new proposals are refused with kOverloaded.
    [[nodiscard]] virtual bool is_backed_up() const = 0;
    // True while what was appended waits for room on a full disk, for as long as that takes.
    // Entries are refused meanwhile; states are not, so a group had better not ask for votes.
    [[nodiscard]] virtual bool is_stalled() const = 0;

    [[nodiscard]] virtual WalStatistics statistics() const = 0;

    // Writes and syncs what was gathered, then ends.
    // Errors: of the last write or sync. kDiskFull: what waited for room was not written.
    virtual async::Task<Status> stop() = 0;
};

// What an offline check found.
struct WalReport {
    std::uint64_t segment_count = 0;
    std::uint64_t record_count = 0;
    std::uint64_t entry_count = 0;
    std::uint64_t torn_bytes = 0;  // of an unfinished last record, which recovery would cut
};

// Reads a log without changing it. Errors: as Wal::open().
async::Task<Result<WalReport>> verify_wal(env::Env* env, std::string directory);

}  // namespace kvstore::storage
