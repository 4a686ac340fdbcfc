#include "pure_scripts.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "format.h"
#include "raft/votes.h"

namespace kvstore::raft::conformance {

namespace {

using Values = std::map<NodeId, std::string>;

std::vector<NodeId> ids_of(const Directive& directive, const char* key) {
    std::vector<NodeId> ids;
    if (const Argument* argument = directive.find(key)) {
        for (const std::string& value : argument->values) {
            if (value != "zero") {
                ids.emplace_back(std::stoull(value));
            }
        }
    }
    return ids;
}

// Gives each voter, in the order of first mention, the next of the values.
Values assign(const Directive& directive, const char* key) {
    Values values;
    std::vector<NodeId> order = ids_of(directive, "cfg");
    for (const NodeId id : ids_of(directive, "cfgj")) {
        order.push_back(id);
    }
    const Argument* given = directive.find(key);
    std::size_t next = 0;
    for (const NodeId id : order) {
        if (!values.contains(id) && given != nullptr && next < given->values.size()) {
            values[id] = given->values[next++];
        }
    }
    return values;
}

std::string index_text(Index index) {
    return index == kNoLimit ? "∞" : std::to_string(index.value());
}

// A bar for each voter, as long as there are voters behind it.
std::string draw(const std::vector<NodeId>& voters, const Values& values) {
    const auto index_of = [&values](NodeId id) {
        const auto value = values.find(id);
        return value == values.end() || value->second == "_" ? 0ULL : std::stoull(value->second);
    };
    std::string out(voters.size(), ' ');
    out += "    idx\n";
    for (const NodeId id : voters) {
        const auto value = values.find(id);
        // Of equals only the first has a bar.
        std::size_t behind = 0;
        bool first = true;
        for (const NodeId other : voters) {
            behind += index_of(other) < index_of(id) ? 1 : 0;
            first = first && (index_of(other) != index_of(id) || other >= id);
        }
        behind = first ? behind : 0;
        std::string bar = std::string(behind, 'x') + ">" + std::string(voters.size() - behind, ' ');
        if (value == values.end() || value->second == "_") {
            bar = "?" + std::string(voters.size(), ' ');
        }
        std::array<char, 64> rest{};
        std::snprintf(rest.data(),
                      rest.size(),
                      " %5llu    (id=%llu)\n",
                      index_of(id),
                      static_cast<unsigned long long>(id.value()));
        out += bar + rest.data();
    }
    return out;
}

std::string run_committed(const Directive& directive, const Voters& voters) {
    const Values values = assign(directive, "idx");
    const auto reached = [&values](NodeId id) {
        const auto value = values.find(id);
        return Index(value == values.end() || value->second == "_" ? 0
                                                                   : std::stoull(value->second));
    };
    const bool joint = directive.find("cfgj") != nullptr;
    const std::vector<NodeId> drawn = joint ? voters.ids() : voters.incoming.ids();
    std::string out = drawn.empty() ? "<empty majority quorum>" : draw(drawn, values);
    const Voters turned{voters.outgoing, voters.incoming};
    if (turned.committed(reached) != voters.committed(reached)) {
        out += "not symmetric\n";
    }
    return out + index_text(voters.committed(reached)) + "\n";
}

std::string run_vote(const Directive& directive, const Voters& voters) {
    const Values values = assign(directive, "votes");
    const VoteResult result = voters.result([&values](NodeId id) {
        const auto value = values.find(id);
        if (value == values.end() || value->second == "_") {
            return Vote::kMissing;
        }
        return value->second == "y" ? Vote::kYes : Vote::kNo;
    });
    switch (result) {
        case VoteResult::kPending: return "VotePending\n";
        case VoteResult::kLost: return "VoteLost\n";
        case VoteResult::kWon: return "VoteWon\n";
    }
    return "";
}

std::string list(const Majority& majority) {
    std::string out = "(";
    for (const NodeId id : majority.ids()) {
        out += (out.size() > 1 ? " " : "") + std::to_string(id.value());
    }
    return out + ")";
}

}  // namespace

std::string run_quorum_directive(const Directive& directive) {
    const Voters voters{Majority(ids_of(directive, "cfg")), Majority(ids_of(directive, "cfgj"))};
    const char* key = directive.command == "vote" ? "votes" : "idx";
    const Argument* given = directive.find(key);
    const std::size_t count = given != nullptr ? given->values.size() : 0;
    if (voters.ids().size() != count) {
        std::string ids = "map[";
        for (const NodeId id : voters.ids()) {
            ids += (ids.size() > 4 ? " " : "") + std::to_string(id.value()) + ":{}";
        }
        std::string values = "[";
        for (std::size_t i = 0; i < count; ++i) {
            const std::string& value = given->values[i];
            values += (i > 0 ? " " : "");
            values += value == "y" ? "2" : value == "n" ? "1" : value == "_" ? "0" : value;
        }
        return "error: mismatched input (explicit or _) for voters " + ids + "]: " + values + "]\n";
    }
    return directive.command == "vote" ? run_vote(directive, voters)
                                       : run_committed(directive, voters);
}

std::string ConfigurationScript::handle(const Directive& directive) {
    const NewcomerProgress newcomer{Index(commands_++), 10, 0};
    const std::vector<ConfStep> steps = parse_steps(directive.input);
    Status status;
    if (directive.command == "simple") {
        status = apply_simple(membership_, steps, newcomer);
    } else if (directive.command == "enter-joint") {
        const Argument* leave = directive.find("autoleave");
        status = enter_joint(
            membership_, steps, leave != nullptr && leave->values.at(0) == "true", newcomer);
    } else if (!steps.empty()) {
        return "this command takes no input\n";
    } else {
        status = leave_joint(membership_);
    }
    if (!status.ok()) {
        return std::string(status.message()) + "\n";
    }
    const Configuration& configuration = membership_.configuration;
    std::string out = "voters=" + list(configuration.voters.incoming);
    out += configuration.voters.joint() ? "&&" + list(configuration.voters.outgoing) : "";
    out += configuration.learners.empty() ? "" : " learners=" + list(configuration.learners);
    out += configuration.learners_next.empty()
               ? ""
               : " learners_next=" + list(configuration.learners_next);
    out += configuration.auto_leave ? " autoleave\n" : "\n";
    for (const auto& [id, progress] : membership_.progress) {
        PeerStatus peer;
        peer.id = id;
        peer.match = progress.match();
        peer.next = progress.next();
        peer.learner = progress.learner;
        peer.recently_active = true;
        out += describe(peer) + "\n";
    }
    return out;
}

}  // namespace kvstore::raft::conformance
