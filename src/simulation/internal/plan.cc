#include "simulation/internal/plan.h"

#include <algorithm>
#include <cstdint>

namespace kvstore::simulation::internal {
namespace {

constexpr std::uint64_t kSplitPointsMax = 5;

std::vector<FaultKind> draw_faults(Random& random, const Options& options) {
    if (options.faults) {
        return *options.faults;
    }
    // Each kind is on or off: what always comes with everything else hides what it does alone.
    std::vector<FaultKind> kinds;
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        if (random.chance(1, 3)) {
            kinds.push_back(static_cast<FaultKind>(i));
        }
    }
    return kinds;
}

// At keys that will be used, so that some stand at the border itself.
std::vector<Bytes> draw_split_points(Random& random) {
    constexpr char kFamilies[] = {kRegister, kRegister, kRegister, kExpiring, kCounter, kList};
    std::vector<Bytes> points;
    for (std::uint64_t left = random.below(kSplitPointsMax + 1); left > 0; --left) {
        const char family = kFamilies[random.below(std::size(kFamilies))];
        points.push_back(key_name(family, random.below(5), random.below(3)));
    }
    std::ranges::sort(points);
    const auto repeated = std::ranges::unique(points);
    points.erase(repeated.begin(), repeated.end());
    return points;
}

}  // namespace

bool Plan::has(FaultKind kind) const {
    return std::ranges::find(faults, kind) != faults.end();
}

Plan draw_plan(Random& random, const Options& options) {
    Plan plan;
    plan.faults = draw_faults(random, options);
    const std::uint64_t count = options.keyspaces != 0 ? options.keyspaces : random.between(1, 3);
    for (std::uint64_t i = 1; i < count; ++i) {
        plan.keyspaces.push_back(
            {.name = "wide" + std::to_string(i), .split_at = draw_split_points(random)});
    }
    const bool are_jumping = plan.has(FaultKind::kClockJump);
    plan.has_expiry = options.mix.expire > 0 && !(are_jumping && random.chance(1, 2));
    if (are_jumping || !plan.has_expiry || random.chance(1, 2)) {
        plan.skew_max = std::chrono::milliseconds(random.between(1, are_jumping ? 1'000 : 10));
    }
    return plan;
}

Bytes key_name(char family, std::uint64_t generation, std::uint64_t number) {
    return family + std::to_string(generation) + "." + std::to_string(number);
}

Place place_of(ByteView named) {
    const std::size_t slash = named.find('/');
    if (slash == ByteView::npos) {
        return {.keyspace = {}, .key = named};
    }
    return {.keyspace = named.substr(0, slash), .key = named.substr(slash + 1)};
}

Bytes named(std::string_view keyspace, ByteView key) {
    return keyspace.empty() ? Bytes(key) : Bytes(keyspace) + "/" + Bytes(key);
}

}  // namespace kvstore::simulation::internal
