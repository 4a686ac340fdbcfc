#include "simulation/internal/keyspaces.h"

#include <algorithm>
#include <utility>

namespace kvstore::simulation::internal {
namespace {

constexpr Duration kPause = std::chrono::seconds(1);

}  // namespace

Keyspaces::Keyspaces(sim::World& world, Fleet& fleet, const std::vector<KeyspacePlan>& plans)
    : world_(world), fleet_(fleet) {
    for (const KeyspacePlan& plan : plans) {
        all_.push_back(std::make_shared<Making>(Making{.plan = plan}));
    }
}

void Keyspaces::start() {
    for (const std::shared_ptr<Making>& making : all_) {
        try_to_make(making, 0);
    }
}

bool Keyspaces::are_made() const {
    return std::ranges::all_of(all_, [](const auto& making) { return making->is_made; });
}

void Keyspaces::try_to_make(const std::shared_ptr<Making>& making, std::size_t at) {
    if (making->is_made) {
        return;
    }
    Member& member = fleet_.at(at % fleet_.size());
    if (member.is_up()) {
        member.host->spawn(make(&member.node->kv(), making));
    }
    world_.after(kPause, [this, making, at] { try_to_make(making, at + 1); });
}

async::Task<void> Keyspaces::make(kv::Kv* kv, std::shared_ptr<Making> making) {
    std::vector<Bytes> split_at = making->plan.split_at;
    const auto created = co_await kv->create_keyspace(
        kv::CallContext(), making->plan.name, kv->options().defaults, std::move(split_at));
    making->is_made =
        making->is_made || created.ok() || created.status().code() == Code::kAlreadyExists;
}

}  // namespace kvstore::simulation::internal
