#include "storage/memory/ordered_node.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::storage::memory {
namespace {

std::size_t common_prefix(ByteView a, ByteView b) {
    const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    static_cast<void>(in_b);
    return static_cast<std::size_t>(in_a - a.begin());
}

std::uint64_t head_of(ByteView rest) {
    if (rest.size() >= 8) {
        return load_big_endian64(rest.data());
    }
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        head |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest[i])) << (56 - 8 * i);
    }
    return head;
}

}  // namespace

Ref make_separator(Arena* arena, ByteView bytes) {
    const Arena::Blob blob = arena->allocate(sizeof(std::uint32_t) + bytes.size());
    store_fixed(blob.data, static_cast<std::uint32_t>(bytes.size()));
    if (!bytes.empty()) {
        std::memcpy(blob.data + sizeof(std::uint32_t), bytes.data(), bytes.size());
    }
    return blob.ref;
}

ByteView read_separator(const Arena& arena, Ref separator) {
    const char* at = arena.address(separator);
    return {at + sizeof(std::uint32_t), load_fixed<std::uint32_t>(at)};
}

ByteView shortest_separator(ByteView left, ByteView right) {
    KVSTORE_DEBUG_ASSERT(left < right);
    return right.substr(0, common_prefix(left, right) + 1);
}

unsigned child_of(const Arena& arena, const Inner& node, ByteView key) {
    if (node.count == 0) {
        return 0;
    }
    if (node.prefix_size > 0) {
        const ByteView prefix =
            read_separator(arena, node.separators[0]).substr(0, node.prefix_size);
        const int order = key.substr(0, prefix.size()).compare(prefix);
        if (order != 0) {
            return order < 0 ? 0 : node.count;
        }
        key.remove_prefix(prefix.size());
    }
    const std::uint64_t head = head_of(key);
    const auto* heads_end = node.heads.begin() + node.count;
    const auto* first = std::lower_bound(node.heads.begin(), heads_end, head);
    auto at = static_cast<unsigned>(first - node.heads.begin());
    // Almost always none or one of the same head.
    while (at < node.count && node.heads[at] == head &&
           read_separator(arena, node.separators[at]).substr(node.prefix_size) <= key) {
        ++at;
    }
    return at;
}

void refresh_heads(const Arena& arena, Inner& node) {
    if (node.count == 0) {
        node.prefix_size = 0;
        return;
    }
    const ByteView first = read_separator(arena, node.separators[0]);
    const ByteView last = read_separator(arena, node.separators[node.count - 1]);
    node.prefix_size = static_cast<std::uint32_t>(common_prefix(first, last));
    for (unsigned i = 0; i < node.count; ++i) {
        node.heads[i] = head_of(read_separator(arena, node.separators[i]).substr(node.prefix_size));
    }
}

void insert_child(const Arena& arena, Inner& node, unsigned at, Ref separator, Ref child) {
    KVSTORE_ASSERT(node.count < Inner::kCapacity);
    KVSTORE_ASSERT(at <= node.count);
    std::copy_backward(node.separators.begin() + at,
                       node.separators.begin() + node.count,
                       node.separators.begin() + node.count + 1);
    std::copy_backward(node.heads.begin() + at,
                       node.heads.begin() + node.count,
                       node.heads.begin() + node.count + 1);
    std::copy_backward(node.children.begin() + at + 1,
                       node.children.begin() + node.count + 1,
                       node.children.begin() + node.count + 2);
    node.separators[at] = separator;
    node.children[at + 1] = child;
    ++node.count;
    // Only a new first or last separator can share less with the others.
    if (at == 0 || at + 1 == node.count) {
        refresh_heads(arena, node);
    } else {
        node.heads[at] = head_of(read_separator(arena, separator).substr(node.prefix_size));
    }
}

void remove_child(Inner& node, unsigned at, Side side) {
    KVSTORE_ASSERT(at < node.count);
    const unsigned child = side == Side::kBehind ? at + 1 : at;
    std::copy(node.separators.begin() + at + 1,
              node.separators.begin() + node.count,
              node.separators.begin() + at);
    std::copy(
        node.heads.begin() + at + 1, node.heads.begin() + node.count, node.heads.begin() + at);
    std::copy(node.children.begin() + child + 1,
              node.children.begin() + node.count + 1,
              node.children.begin() + child);
    --node.count;
}

}  // namespace kvstore::storage::memory
