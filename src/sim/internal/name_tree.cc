#include "sim/internal/name_tree.h"

#include "base/assert.h"

namespace kvstore::sim::internal {
namespace {

template <typename Visit>
void visit_files(const NodeRef& node, const std::string& path, Visit&& visit) {
    for (const auto& [name, child] : node->names) {
        const std::string child_path = path.empty() ? name : path + "/" + name;
        if (child->is_directory) {
            visit_files(child, child_path, visit);
        } else {
            visit(child_path, child);
        }
    }
}

}  // namespace

NameTree::NameTree() : root_(std::make_shared<Node>()) {
    root_->is_directory = true;
}

Result<std::vector<std::string>> NameTree::split(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (part == "." || part == "..") {
            return Status(Code::kInvalidArgument, "'.' and '..' are not allowed in paths");
        }
        if (!part.empty()) {
            parts.emplace_back(part);
        }
    }
    return parts;
}

NodeRef NameTree::find(std::string_view path) const {
    const auto parts = split(path);
    if (!parts.ok()) {
        return nullptr;
    }
    NodeRef node = root_;
    for (const std::string& part : *parts) {
        const auto at = node->names.find(part);
        if (at == node->names.end()) {
            return nullptr;
        }
        node = at->second;
    }
    return node;
}

Result<Place> NameTree::place(std::string_view path) const {
    KVSTORE_TRY(std::vector<std::string> parts, split(path));
    if (parts.empty()) {
        return Status(Code::kInvalidArgument, "the root folder cannot be meant");
    }
    NodeRef node = root_;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto at = node->names.find(parts[i]);
        if (at == node->names.end() || !at->second->is_directory) {
            return Status(Code::kNotFound, std::string(path) + ": no folder '" + parts[i] + "'");
        }
        node = at->second;
    }
    return Place{.directory = std::move(node), .name = std::move(parts.back())};
}

NodeRef NameTree::create(const Place& at, bool is_directory) {
    auto node = std::make_shared<Node>();
    node->is_directory = is_directory;
    KVSTORE_ASSERT(!at.directory->names.contains(at.name));
    at.directory->names.emplace(at.name, node);
    changes_.push_back(NameChange{.number = ++last_change_, .from = {}, .to = at, .node = node});
    return node;
}

void NameTree::rename(const Place& from, const Place& to) {
    auto moved = from.directory->names.extract(from.name);
    KVSTORE_ASSERT(!moved.empty());
    NodeRef node = moved.mapped();
    to.directory->names.insert_or_assign(to.name, node);
    changes_.push_back(
        NameChange{.number = ++last_change_, .from = from, .to = to, .node = std::move(node)});
}

void NameTree::remove(const Place& at) {
    const auto found = at.directory->names.find(at.name);
    KVSTORE_ASSERT(found != at.directory->names.end());
    const NodeRef node = found->second;
    while (!node->names.empty()) {
        remove(Place{.directory = node, .name = node->names.begin()->first});
    }
    at.directory->names.erase(at.name);
    changes_.push_back(NameChange{.number = ++last_change_, .from = at, .to = {}, .node = node});
}

bool NameTree::touches(const NameChange& change, const Place& place) {
    return place.directory != nullptr && (change.from == place || change.to == place);
}

bool NameTree::depends(const NameChange& later, const NameChange& earlier) {
    return touches(earlier, later.from) || touches(earlier, later.to);
}

void NameTree::make_durable(const NameChange& change) {
    if (change.from.directory != nullptr) {
        change.from.directory->durable_names.erase(change.from.name);
    }
    if (change.to.directory != nullptr) {
        change.to.directory->durable_names.insert_or_assign(change.to.name, change.node);
    }
}

void NameTree::keep(const std::vector<bool>& is_kept) {
    std::vector<NameChange> rest;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (is_kept[i]) {
            make_durable(changes_[i]);
        } else {
            rest.push_back(std::move(changes_[i]));
        }
    }
    changes_ = std::move(rest);
}

void NameTree::persist(const NodeRef& directory, Change last) {
    std::vector<bool> is_kept(changes_.size(), false);
    // Backwards, so that what a kept change stands on is kept too.
    for (std::size_t i = changes_.size(); i-- > 0;) {
        const NameChange& change = changes_[i];
        is_kept[i] = change.number <= last &&
                     (change.from.directory == directory || change.to.directory == directory);
        for (std::size_t j = i + 1; j < changes_.size() && !is_kept[i]; ++j) {
            is_kept[i] = is_kept[j] && depends(changes_[j], change);
        }
    }
    keep(is_kept);
}

void NameTree::show_durable(const NodeRef& directory) {
    directory->names = directory->durable_names;
    for (const auto& [name, child] : directory->names) {
        if (child->is_directory) {
            show_durable(child);
        }
    }
}

void NameTree::crash(Random& random, std::size_t tear_size) {
    // A journal keeps a prefix of the changes; a file system without one keeps any of them.
    const bool is_journal = random.chance(1, 2);
    const std::uint64_t prefix = random.below(changes_.size() + 1);
    std::vector<bool> is_kept(changes_.size(), false);
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        is_kept[i] = is_journal ? i < prefix : random.chance(1, 2);
        for (std::size_t j = 0; j < i && is_kept[i]; ++j) {
            is_kept[i] = is_kept[j] || !depends(changes_[i], changes_[j]);
        }
    }
    keep(is_kept);
    changes_.clear();
    show_durable(root_);
    for (const auto& [path, node] : files()) {
        node->content.crash(random, tear_size);
    }
}

void NameTree::end_all() {
    for (const auto& [path, node] : files()) {
        node->content.end_all();
    }
}

std::uint64_t NameTree::used() const {
    std::uint64_t sectors = 0;
    visit_files(root_, "", [&sectors](const std::string&, const NodeRef& node) {
        sectors += node->content.sector_count();
    });
    return sectors * env::kSectorSize;
}

std::vector<std::pair<std::string, NodeRef>> NameTree::files() const {
    std::vector<std::pair<std::string, NodeRef>> found;
    visit_files(root_, "", [&found](const std::string& path, const NodeRef& node) {
        found.emplace_back(path, node);
    });
    return found;
}

}  // namespace kvstore::sim::internal
