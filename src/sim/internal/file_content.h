// The bytes of one simulated file: what reads see, and what a crash may leave of it.
//
// The unit is the sector of kSectorSize, as the page cache writes whole pages back. Each sector has
// its durable state and the versions written since, oldest first. A crash leaves each sector in its
// durable state, in any version, or torn between two of them, independently of all others; and the
// file in any of the sizes it had since the last sync.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "env/disk.h"

namespace kvstore::sim::internal {

class FileContent {
public:
    // Numbers the changes of one file.
    using Operation = std::uint64_t;

    // What sync() promised to keep when it began: all that had returned by then.
    struct SyncPoint {
        Operation last = 0;
        std::set<Operation> under_way;
        [[nodiscard]] bool covers(Operation operation) const {
            return operation <= last && !under_way.contains(operation);
        }
    };

    enum class Source : std::uint8_t { kCache, kDevice };
    enum class WriteFate : std::uint8_t { kNormal, kLost };

    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint64_t durable_size() const { return durable_size_; }
    [[nodiscard]] std::uint64_t sector_count() const { return sectors_.size(); }
    // How many sectors write(offset, size) would add.
    [[nodiscard]] std::uint64_t sectors_missing(std::uint64_t offset, std::uint64_t size) const;

    [[nodiscard]] Bytes read(std::uint64_t offset, std::size_t size, Source source) const;
    // What a crash leaves for certain.
    [[nodiscard]] Bytes durable() const;

    // Visible at once, durable by none of it. A lost write never becomes durable.
    Operation begin_write(std::uint64_t offset, ByteView data, WriteFate fate);
    Operation begin_truncate(std::uint64_t size);
    // The call has returned to its caller, so a later sync covers it.
    void end(Operation operation) { under_way_.erase(operation); }

    // A sync begins; persist() or fail_sync() ends it.
    [[nodiscard]] SyncPoint begin_sync();
    void persist(const SyncPoint& point);
    // What a durable write promises: its bytes, and a size that reaches them.
    void persist_write(Operation operation);
    // A failed sync: any part became durable; the rest still reads, counts as clean, and is lost.
    void fail_sync(const SyncPoint& point, Random& random);

    // Power loss. `tear_size` divides kSectorSize.
    void crash(Random& random, std::size_t tear_size);
    // The process died, the machine did not: its calls are over, nothing is lost.
    void end_all() {
        under_way_.clear();
        sync_count_ = 0;
    }

    // Damages stored bytes, whether cached or durable. False beyond the end.
    bool flip_bit(std::uint64_t offset, unsigned bit);

private:
    using Sector = std::array<char, env::kSectorSize>;
    // Null is all zeros. Shared between versions, so never changed.
    using SectorRef = std::shared_ptr<const Sector>;
    struct SectorVersion {
        SectorRef content;
        Operation operation = 0;
        bool is_truncation = false;
        bool is_lost = false;
    };
    struct SectorState {
        SectorRef durable;
        SectorRef cached;
        std::vector<SectorVersion> pending;
    };
    // A change that decides the size: a write reaches at least to `size`, a truncation sets it.
    struct SizeStep {
        std::uint64_t size = 0;
        Operation operation = 0;
        bool is_truncation = false;

        [[nodiscard]] std::uint64_t applied_to(std::uint64_t before) const {
            return is_truncation ? size : std::max(before, size);
        }
    };

    // More versions of one sector than this are thinned out, while no call relies on them.
    static constexpr std::size_t kVersionsMax = 12;

    [[nodiscard]] static SectorRef with_bytes(const SectorRef& base, std::size_t at, ByteView data);
    void add_version(std::uint64_t number, SectorState& state, SectorVersion version);
    template <typename Covers>
    static void persist_sector(SectorState& state, Covers covers);
    template <typename Covers>
    void persist_size(Covers covers);
    void settle_size(Random& random, Operation* settled);
    void settle_sector(SectorState& state,
                       Operation settled_size,
                       Random& random,
                       std::size_t tear_size);
    void drop_clean(std::uint64_t number);

    std::map<std::uint64_t, SectorState> sectors_;
    std::set<std::uint64_t> dirty_;
    std::uint64_t size_ = 0;
    std::uint64_t durable_size_ = 0;
    std::vector<SizeStep> size_steps_;  // not yet in durable_size_, oldest first
    std::set<Operation> under_way_;
    std::size_t sync_count_ = 0;  // under way
    Operation last_operation_ = 0;
};

}  // namespace kvstore::sim::internal
