#include "sim/internal/file_content.h"

#include <cstring>

#include "base/assert.h"

namespace kvstore::sim::internal {

using env::kSectorSize;

std::uint64_t FileContent::sectors_missing(std::uint64_t offset, std::uint64_t size) const {
    std::uint64_t missing = 0;
    for (std::uint64_t at = offset / kSectorSize; size > 0 && at * kSectorSize < offset + size;
         ++at) {
        missing += sectors_.contains(at) ? 0U : 1U;
    }
    return missing;
}

Bytes FileContent::read(std::uint64_t offset, std::size_t size, Source source) const {
    if (offset >= size_) {
        return {};
    }
    Bytes result(static_cast<std::size_t>(std::min<std::uint64_t>(size, size_ - offset)), '\0');
    const std::uint64_t end = offset + result.size();
    for (auto at = sectors_.lower_bound(offset / kSectorSize);
         at != sectors_.end() && at->first * kSectorSize < end;
         ++at) {
        // The page cache is written back before a read that goes around it, so only sectors that it
        // takes for clean differ.
        const bool use_durable = source == Source::kDevice && at->second.pending.empty();
        const SectorRef& content = use_durable ? at->second.durable : at->second.cached;
        if (content == nullptr) {
            continue;
        }
        const std::uint64_t begin = at->first * kSectorSize;
        const std::uint64_t from = std::max(begin, offset);
        const std::uint64_t to = std::min(begin + kSectorSize, end);
        std::memcpy(result.data() + (from - offset), content->data() + (from - begin), to - from);
    }
    return result;
}

Bytes FileContent::durable() const {
    Bytes result(static_cast<std::size_t>(durable_size_), '\0');
    for (const auto& [number, state] : sectors_) {
        const std::uint64_t begin = number * kSectorSize;
        if (state.durable != nullptr && begin < durable_size_) {
            std::memcpy(result.data() + begin,
                        state.durable->data(),
                        std::min<std::uint64_t>(kSectorSize, durable_size_ - begin));
        }
    }
    return result;
}

FileContent::SectorRef FileContent::with_bytes(const SectorRef& base,
                                               std::size_t at,
                                               ByteView data) {
    auto copy = base == nullptr ? std::make_shared<Sector>() : std::make_shared<Sector>(*base);
    std::memcpy(copy->data() + at, data.data(), data.size());
    const bool is_zero =
        std::all_of(copy->begin(), copy->end(), [](char byte) { return byte == 0; });
    return is_zero ? nullptr : copy;
}

void FileContent::add_version(std::uint64_t number, SectorState& state, SectorVersion version) {
    state.cached = version.content;
    state.pending.push_back(std::move(version));
    if (state.pending.size() > kVersionsMax && under_way_.size() == 1 && sync_count_ == 0) {
        // Versions in the middle are as good as any; a crash loses some variety only. Truncations
        // stay, since they decide what else a crash may leave.
        for (auto at = state.pending.begin(); at + 1 != state.pending.end(); ++at) {
            if (!at->is_truncation) {
                state.pending.erase(at);
                break;
            }
        }
    }
    dirty_.insert(number);
}

FileContent::Operation FileContent::begin_write(std::uint64_t offset,
                                                ByteView data,
                                                WriteFate fate) {
    const Operation operation = ++last_operation_;
    under_way_.insert(operation);
    std::uint64_t at = offset;
    ByteView rest = data;
    while (!rest.empty()) {
        const std::uint64_t number = at / kSectorSize;
        const auto within = static_cast<std::size_t>(at % kSectorSize);
        const ByteView part = rest.substr(0, kSectorSize - within);
        SectorState& state = sectors_[number];
        add_version(number,
                    state,
                    SectorVersion{.content = with_bytes(state.cached, within, part),
                                  .operation = operation,
                                  .is_lost = fate == WriteFate::kLost});
        at += part.size();
        rest.remove_prefix(part.size());
    }
    if (!data.empty()) {
        const std::uint64_t end = offset + data.size();
        size_ = std::max(size_, end);
        if (end > durable_size_ || !size_steps_.empty()) {
            size_steps_.push_back(SizeStep{.size = end, .operation = operation});
        }
    }
    return operation;
}

FileContent::Operation FileContent::begin_truncate(std::uint64_t size) {
    const Operation operation = ++last_operation_;
    under_way_.insert(operation);
    for (auto at = sectors_.lower_bound(size / kSectorSize); at != sectors_.end(); ++at) {
        const std::uint64_t begin = at->first * kSectorSize;
        SectorRef content;
        if (begin < size && at->second.cached != nullptr) {
            const Bytes zeros(static_cast<std::size_t>(begin + kSectorSize - size), '\0');
            content = with_bytes(at->second.cached, static_cast<std::size_t>(size - begin), zeros);
        }
        if (size < size_) {
            add_version(
                at->first,
                at->second,
                SectorVersion{
                    .content = std::move(content), .operation = operation, .is_truncation = true});
        }
    }
    size_ = size;
    size_steps_.push_back(SizeStep{.size = size, .operation = operation, .is_truncation = true});
    return operation;
}

FileContent::SyncPoint FileContent::begin_sync() {
    ++sync_count_;
    return SyncPoint{.last = last_operation_, .under_way = under_way_};
}

template <typename Covers>
void FileContent::persist_sector(SectorState& state, Covers covers) {
    for (std::size_t count = state.pending.size(); count > 0; --count) {
        const SectorVersion& version = state.pending[count - 1];
        if (covers(version.operation)) {
            if (!version.is_lost) {
                state.durable = version.content;
            }
            state.pending.erase(state.pending.begin(),
                                state.pending.begin() + static_cast<std::ptrdiff_t>(count));
            return;
        }
    }
}

template <typename Covers>
void FileContent::persist_size(Covers covers) {
    for (const SizeStep& step : size_steps_) {
        if (covers(step.operation)) {
            durable_size_ = step.applied_to(durable_size_);
        }
    }
    std::erase_if(size_steps_, [&covers](const SizeStep& step) { return covers(step.operation); });
}

// Frees what is zero, clean and beyond the end, so that a truncated file gives its space back.
void FileContent::drop_clean(std::uint64_t number) {
    const auto at = sectors_.find(number);
    if (!at->second.pending.empty()) {
        return;
    }
    dirty_.erase(number);
    const bool is_beyond_end = number * kSectorSize >= std::max(size_, durable_size_);
    if (is_beyond_end) {
        sectors_.erase(at);
    }
}

void FileContent::persist(const SyncPoint& point) {
    --sync_count_;
    const auto covers = [&point](Operation operation) {
        return point.covers(operation);
    };
    persist_size(covers);
    const std::vector<std::uint64_t> dirty(dirty_.begin(), dirty_.end());
    for (const std::uint64_t number : dirty) {
        persist_sector(sectors_.at(number), covers);
        drop_clean(number);
    }
}

void FileContent::persist_write(Operation operation) {
    // The size reaches the device with the journal, and so do all truncations before it.
    Operation truncated = 0;
    const std::vector<std::uint64_t> dirty(dirty_.begin(), dirty_.end());
    for (const std::uint64_t number : dirty) {
        for (const SectorVersion& version : sectors_.at(number).pending) {
            if (version.is_truncation && version.operation <= operation) {
                truncated = std::max(truncated, version.operation);
            }
        }
    }
    persist_size([operation](Operation other) { return other <= operation; });
    for (const std::uint64_t number : dirty) {
        SectorState& state = sectors_.at(number);
        const bool is_written = std::any_of(
            state.pending.begin(), state.pending.end(), [operation](const SectorVersion& v) {
                return v.operation == operation;
            });
        const Operation limit = is_written ? operation : truncated;
        persist_sector(state, [limit, is_written](Operation other) {
            return other <= limit && (is_written || other == limit);
        });
        drop_clean(number);
    }
}

void FileContent::fail_sync(const SyncPoint& point, Random& random) {
    --sync_count_;
    const auto covers = [&point](Operation operation) {
        return point.covers(operation);
    };
    if (random.chance(1, 2)) {
        persist_size(covers);
    }
    const std::vector<std::uint64_t> dirty(dirty_.begin(), dirty_.end());
    for (const std::uint64_t number : dirty) {
        SectorState& state = sectors_.at(number);
        if (random.chance(1, 3)) {
            persist_sector(state, covers);
        } else {
            // Clean for the cache, gone from the device.
            std::erase_if(state.pending,
                          [&covers](const SectorVersion& v) { return covers(v.operation); });
        }
        if (state.pending.empty()) {
            dirty_.erase(number);
        }
    }
}

// Chooses the size after a crash, and tells which change gave it (0: the durable one).
void FileContent::settle_size(Random& random, Operation* settled) {
    const std::uint64_t count = random.below(size_steps_.size() + 1);
    *settled = 0;
    for (std::size_t i = 0; i < count; ++i) {
        durable_size_ = size_steps_[i].applied_to(durable_size_);
        *settled = size_steps_[i].operation;
    }
    size_steps_.clear();
    size_ = durable_size_;
}

void FileContent::settle_sector(SectorState& state,
                                Operation settled_size,
                                Random& random,
                                std::size_t tear_size) {
    std::vector<SectorRef> candidates{state.durable};
    for (SectorVersion& version : state.pending) {
        if (version.is_truncation) {
            if (version.operation <= settled_size) {
                // The truncation survives with the size, so nothing older may shine through.
                candidates.assign(1, version.content);
            }
        } else if (!version.is_lost) {
            candidates.push_back(std::move(version.content));
        }
    }
    const auto any = [&] {
        return candidates[static_cast<std::size_t>(random.below(candidates.size()))];
    };
    SectorRef left = random.chance(1, 3) ? candidates.front() : any();
    if (tear_size < kSectorSize && random.chance(1, 3)) {
        const SectorRef other = random.chance(1, 2) ? candidates.back() : any();
        const auto cut =
            static_cast<std::size_t>(random.between(1, kSectorSize / tear_size - 1)) * tear_size;
        static constexpr Sector kZeros{};
        const Sector& tail = other == nullptr ? kZeros : *other;
        left = with_bytes(left, cut, ByteView(tail.data(), tail.size()).substr(cut));
    }
    state = SectorState{.durable = left, .cached = left, .pending = {}};
}

void FileContent::crash(Random& random, std::size_t tear_size) {
    Operation settled_size = 0;
    settle_size(random, &settled_size);
    for (const std::uint64_t number : dirty_) {
        settle_sector(sectors_.at(number), settled_size, random, tear_size);
    }
    dirty_.clear();
    end_all();
    std::erase_if(sectors_,
                  [this](const auto& entry) { return entry.first * kSectorSize >= size_; });
    for (auto& [number, state] : sectors_) {
        state.cached = state.durable;
    }
    // What lies behind the end within the last sector is never seen again.
    if (size_ % kSectorSize != 0) {
        if (const auto last = sectors_.find(size_ / kSectorSize); last != sectors_.end()) {
            const auto within = static_cast<std::size_t>(size_ % kSectorSize);
            const Bytes zeros(kSectorSize - within, '\0');
            last->second.durable = with_bytes(last->second.durable, within, zeros);
            last->second.cached = last->second.durable;
        }
    }
}

bool FileContent::flip_bit(std::uint64_t offset, unsigned bit) {
    if (offset >= size_) {
        return false;
    }
    const auto flip = [offset, bit](SectorRef& content) {
        const auto at = static_cast<std::size_t>(offset % kSectorSize);
        const char before = content == nullptr ? '\0' : (*content)[at];
        const auto after =
            static_cast<char>(static_cast<unsigned char>(before) ^ (1U << (bit % 8)));
        content = with_bytes(content, at, ByteView(&after, 1));
    };
    SectorState& state = sectors_[offset / kSectorSize];
    const bool is_shared = state.cached == state.durable;
    flip(state.cached);
    if (is_shared) {
        state.durable = state.cached;
    } else {
        flip(state.durable);
    }
    for (SectorVersion& version : state.pending) {
        flip(version.content);
    }
    return true;
}

}  // namespace kvstore::sim::internal
