// What a write-ahead log should hold, kept in memory, to compare with what recovery shows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "storage/wal/wal.h"

namespace kvstore::storage::testing {

struct ModelEntry {
    Term term;
    std::uint8_t kind = 0;
    Bytes data;
    friend bool operator==(const ModelEntry&, const ModelEntry&) = default;
};

struct ModelGroup {
    std::map<Index, ModelEntry> entries;
    std::optional<std::pair<Term, Index>> start;
    std::optional<std::pair<Term, NodeId>> vote;
    Index commit;
    Index last;

    friend bool operator==(const ModelGroup&, const ModelGroup&) = default;
};

// Applies what a log says in order. As a visitor it refuses entries that leave a gap.
class LogModel : public WalVisitor {
public:
    Status on_entry(const LogEntry& entry) override {
        ModelGroup& group = groups[entry.group];
        if (!group.entries.empty() && entry.index > group.entries.rbegin()->first.next()) {
            return {Code::kInternal, "an entry leaves a gap"};
        }
        group.entries.erase(group.entries.lower_bound(entry.index), group.entries.end());
        group.entries[entry.index] =
            ModelEntry{.term = entry.term, .kind = entry.kind, .data = Bytes(entry.data)};
        group.last = entry.index;
        return {};
    }
    Status on_state(const LogState& state) override {
        ModelGroup& group = groups[state.group];
        group.vote = {state.term, state.vote};
        group.commit = state.commit;
        return {};
    }
    Status on_start(GroupId id, Term term, Index index) override {
        ModelGroup& group = groups[id];
        group.start = {term, index};
        group.entries.erase(group.entries.begin(), group.entries.upper_bound(index));
        group.last = std::max(group.last, index);
        return {};
    }
    Status on_drop(GroupId id) override {
        groups.erase(id);
        return {};
    }

    // Forgets entries up to what was released, which a log may or may not still show.
    [[nodiscard]] LogModel without_released(const std::map<GroupId, Index>& released) const {
        LogModel rest = *this;
        for (auto& [id, group] : rest.groups) {
            const auto found = released.find(id);
            if (found != released.end()) {
                group.entries.erase(group.entries.begin(),
                                    group.entries.upper_bound(found->second));
            }
            group.last = Index();
        }
        return rest;
    }

    friend bool operator==(const LogModel& a, const LogModel& b) { return a.groups == b.groups; }

    std::map<GroupId, ModelGroup> groups;
};

// "g1: 3..7 state 2 | g2: ..." for test failures.
[[nodiscard]] inline std::string to_string(const LogModel& model) {
    std::string text;
    for (const auto& [id, group] : model.groups) {
        text += "g" + std::to_string(id.value()) + ":";
        for (const auto& [index, entry] : group.entries) {
            text += " " + std::to_string(index.value()) + "/" + std::to_string(entry.term.value()) +
                    "(" + std::to_string(entry.data.size()) + ")";
        }
        if (group.vote) {
            text += " term " + std::to_string(group.vote->first.value());
        }
        if (group.start) {
            text += " start " + std::to_string(group.start->second.value());
        }
        text += " | ";
    }
    return text;
}

}  // namespace kvstore::storage::testing
