// What a seed decides once, for a whole run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "simulation/fault_kind.h"
#include "simulation/options.h"

namespace kvstore::simulation::internal {

struct KeyspacePlan {
    std::string name;
    std::vector<Bytes> split_at;
};

struct Plan {
    std::vector<FaultKind> faults;
    std::vector<KeyspacePlan> keyspaces;  // beside `default`
    // Whether keys run out. Their end is judged by clocks, so those are never more than `skew_max`
    // off then; otherwise only in the beginning, and jump as far as they like.
    bool has_expiry = false;
    Duration skew_max{};

    [[nodiscard]] bool has(FaultKind kind) const;
};

[[nodiscard]] Plan draw_plan(Random& random, const Options& options);

// Families of keys, by what is done to them: registers are read, written and compared; counters
// only added to; lists only appended to; what runs out is only read and written.
inline constexpr char kRegister = 'r';
inline constexpr char kCounter = 'n';
inline constexpr char kList = 'a';
inline constexpr char kExpiring = 't';

// A key of a family in a generation, "r3.1": keys change with time, which keeps what a search
// orders small.
[[nodiscard]] Bytes key_name(char family, std::uint64_t generation, std::uint64_t number);

// Histories name a key of another keyspace than `default` with it, "wide/r3.1".
struct Place {
    std::string_view keyspace;  // empty: default
    ByteView key;
};
[[nodiscard]] Place place_of(ByteView named);
[[nodiscard]] Bytes named(std::string_view keyspace, ByteView key);

}  // namespace kvstore::simulation::internal
