#include "sim/host.h"

#include "base/assert.h"
#include "sim/internal/process.h"
#include "sim/world.h"

namespace kvstore::sim {
namespace {

bool changes_something(DiskCall call) {
    return call != DiskCall::kOpen && call != DiskCall::kRead && call != DiskCall::kLook;
}

}  // namespace

Host::Host(World& world, std::string name, std::uint64_t index)
    : world_(world), name_(std::move(name)), index_(index) {}

Host::~Host() = default;

env::Env& Host::env() {
    KVSTORE_ASSERT(is_up());
    return process_->env();
}

void Host::spawn(async::Task<void> task) {
    KVSTORE_ASSERT(is_up());
    process_->scheduler().post(
        [task = std::move(task)]() mutable { async::spawn(std::move(task)); });
    process_->schedule_turn_if_needed();
}

void Host::own_shared(std::shared_ptr<void> component) {
    KVSTORE_ASSERT(is_up());
    process_->own(std::move(component));
}

std::uint64_t Host::disk_changes() const {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kDiskCallKinds; ++i) {
        total += changes_something(static_cast<DiskCall>(i)) ? disk_calls_[i] : 0U;
    }
    return total;
}

void Host::count_disk_call(DiskCall call) {
    ++disk_calls_[static_cast<std::size_t>(call)];
    if (changes_something(call) && crash_at_change_ > 0 && --crash_at_change_ == 0) {
        world_.timeline_.add(world_.now(), nullptr, [this, life = life_] {
            if (is_up() && life_ == life) {
                world_.crash(*this);
            }
        });
    }
}

void Host::wipe_disk() {
    KVSTORE_ASSERT(!is_up());
    names_ = internal::NameTree();
}

Status Host::flip_bit(std::string_view path, std::uint64_t offset, unsigned bit) {
    const internal::NodeRef node = names_.find(path);
    if (node == nullptr || node->is_directory) {
        return {Code::kNotFound, std::string(path) + ": no such file"};
    }
    if (!node->content.flip_bit(offset, bit)) {
        return {Code::kOutOfRange, std::string(path) + ": ends before " + std::to_string(offset)};
    }
    return {};
}

Result<std::string> Host::flip_random_bit(std::string_view prefix) {
    std::uint64_t total = 0;
    for (const auto& [path, node] : names_.files()) {
        total += path.starts_with(prefix) ? node->content.size() : 0U;
    }
    if (total == 0) {
        return Status(Code::kNotFound, "no bytes in files below '" + std::string(prefix) + "'");
    }
    Random& random = world_.random();
    std::uint64_t at = random.below(total);
    const auto bit = static_cast<unsigned>(random.below(8));
    for (const auto& [path, node] : names_.files()) {
        const std::uint64_t size = path.starts_with(prefix) ? node->content.size() : 0U;
        if (at < size) {
            KVSTORE_CHECK_OK(flip_bit(path, at, bit));
            return path + ":" + std::to_string(at) + ":" + std::to_string(bit);
        }
        at -= size;
    }
    return Status(Code::kInternal, "a file changed its size");
}

Result<Bytes> Host::durable_content(std::string_view path) const {
    const internal::NodeRef node = names_.find(path);
    if (node == nullptr || node->is_directory) {
        return Status(Code::kNotFound, std::string(path) + ": no such file");
    }
    return node->content.durable();
}

}  // namespace kvstore::sim
