// Fingerprints of states whose members may be called otherwise. Nothing in the protocol
// depends on what a member is called, so states that differ by an exchange of names alone
// behave alike, and one of them stands for all.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "raft/conf_change.h"
#include "raft/configuration.h"
#include "raft/internal/fingerprint.h"
#include "raft/messages.h"

namespace kvstore::raft::conformance {

inline constexpr std::size_t kMembers = 3;

// New names for members 1 to kMembers. kNoNode stays.
class Relabelling {
public:
    constexpr Relabelling(std::uint8_t one, std::uint8_t two, std::uint8_t three)
        : names_{0, one, two, three} {}

    [[nodiscard]] NodeId of(NodeId id) const { return NodeId(names_.at(id.value())); }

private:
    std::array<std::uint8_t, kMembers + 1> names_;
};

// The first changes nothing.
inline constexpr std::array<Relabelling, 6> kRelabellings{{
    {1, 2, 3},
    {1, 3, 2},
    {2, 1, 3},
    {2, 3, 1},
    {3, 1, 2},
    {3, 2, 1},
}};

class RelabelledPrint {
public:
    explicit RelabelledPrint(const Relabelling& names) : names_(names) {}

    RelabelledPrint& add(std::uint64_t word) {
        print_.add(word);
        return *this;
    }
    RelabelledPrint& add(bool word) { return add(static_cast<std::uint64_t>(word ? 1 : 0)); }
    RelabelledPrint& add(Index index) { return add(index.value()); }
    RelabelledPrint& add(Term term) { return add(term.value()); }
    RelabelledPrint& add(NodeId id) { return add(names_.of(id).value()); }
    RelabelledPrint& add(std::vector<NodeId> ids) {
        for (NodeId& id : ids) {
            id = names_.of(id);
        }
        std::sort(ids.begin(), ids.end());
        add(ids.size());
        for (const NodeId id : ids) {
            add(id.value());
        }
        return *this;
    }
    RelabelledPrint& add(const ConfState& conf) {
        add(conf.voters).add(conf.voters_outgoing).add(conf.learners).add(conf.learners_next);
        return add(conf.auto_leave);
    }
    RelabelledPrint& add(const Entry& entry) {
        add(entry.term).add(entry.index).add(static_cast<std::uint64_t>(entry.kind));
        if (entry.kind != EntryKind::kConfChange) {
            return add(hash64(entry.data.view()));
        }
        const Result<ConfChange> change = decode_conf_change(entry.data);
        for (const ConfStep& step : change.value().steps) {
            add(static_cast<std::uint64_t>(step.operation)).add(step.node);
        }
        return add(static_cast<std::uint64_t>(change.value().transition));
    }
    RelabelledPrint& add(const std::vector<Entry>& entries) {
        add(entries.size());
        for (const Entry& entry : entries) {
            add(entry);
        }
        return *this;
    }
    RelabelledPrint& add(const Message& message) {
        add(static_cast<std::uint64_t>(message.kind)).add(message.from).add(message.to);
        add(message.term).add(message.log_term).add(message.index).add(message.commit);
        add(message.commit_term).add(message.reject).add(message.transfer);
        add(message.hint_index).add(message.hint_term).add(message.read_round);
        return add(message.entries);
    }

    [[nodiscard]] NodeId name(NodeId id) const { return names_.of(id); }
    [[nodiscard]] std::uint64_t value() const { return print_.value(); }

private:
    const Relabelling& names_;
    Fingerprint print_;
};

}  // namespace kvstore::raft::conformance
