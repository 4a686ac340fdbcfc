// The folders of one simulated disk: what is seen, and what a crash may leave of it.
//
// Every creation, renaming and removal is one change that a crash keeps or loses as a whole; of the
// changes to one name, a later one is kept only where the earlier ones are. sync_directory() makes
// the changes in one folder durable, and the folder's own name only if its parent is synced too.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "sim/internal/file_content.h"

namespace kvstore::sim::internal {

struct Node;
using NodeRef = std::shared_ptr<Node>;

// A file or a folder.
struct Node {
    bool is_directory = false;
    FileContent content;
    std::map<std::string, NodeRef, std::less<>> names;          // as seen
    std::map<std::string, NodeRef, std::less<>> durable_names;  // as a crash leaves it at least
};

// A name, and the folder that holds it or would.
struct Place {
    NodeRef directory;
    std::string name;
    friend bool operator==(const Place&, const Place&) = default;
};

class NameTree {
public:
    using Change = std::uint64_t;

    NameTree();

    // The parts between slashes. Errors: kInvalidArgument for "." and "..".
    static Result<std::vector<std::string>> split(std::string_view path);

    // Null where there is none.
    [[nodiscard]] NodeRef find(std::string_view path) const;
    // Errors: kNotFound where a folder on the way is missing; kInvalidArgument for the root.
    [[nodiscard]] Result<Place> place(std::string_view path) const;

    NodeRef create(const Place& at, bool is_directory);
    // Requires: `from` exists.
    void rename(const Place& from, const Place& to);
    // With everything below, deepest first. Requires: `at` exists.
    void remove(const Place& at);

    [[nodiscard]] Change last_change() const { return last_change_; }
    // Makes changes in `directory` up to `last` durable.
    void persist(const NodeRef& directory, Change last);

    void crash(Random& random, std::size_t tear_size);
    void end_all();

    // Bytes in files, in whole sectors.
    [[nodiscard]] std::uint64_t used() const;
    // Every file in the order of its path.
    [[nodiscard]] std::vector<std::pair<std::string, NodeRef>> files() const;

private:
    struct NameChange {
        Change number = 0;
        Place from;  // no directory: a creation
        Place to;    // no directory: a removal
        NodeRef node;
    };

    [[nodiscard]] static bool touches(const NameChange& change, const Place& place);
    [[nodiscard]] static bool depends(const NameChange& later, const NameChange& earlier);
    static void make_durable(const NameChange& change);
    void keep(const std::vector<bool>& is_kept);
    static void show_durable(const NodeRef& directory);

    NodeRef root_;
    std::vector<NameChange> changes_;  // not yet durable, oldest first
    Change last_change_ = 0;
};

}  // namespace kvstore::sim::internal
