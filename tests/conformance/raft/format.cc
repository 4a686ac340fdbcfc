#include "format.h"

#include <array>
#include <cstdio>

#include "raft/conf_change.h"

namespace kvstore::raft::conformance {

namespace {

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

std::string quoted(ByteView text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
        }
        out.push_back(c);
    }
    return out + "\"";
}

std::string id_list(const std::vector<NodeId>& ids) {
    std::string out = "[";
    for (const NodeId id : ids) {
        out += (out.size() > 1 ? " " : "") + number(id.value());
    }
    return out + "]";
}

std::string describe_steps(const std::vector<ConfStep>& steps) {
    std::string out;
    for (const ConfStep& step : steps) {
        constexpr std::array<char, 3> kLetters{'v', 'l', 'r'};
        const char letter =
            step.node == kNoNode ? 'u' : kLetters[static_cast<std::size_t>(step.operation)];
        out += (out.empty() ? "" : " ") + std::string(1, letter) + number(step.node.value());
    }
    return out;
}

// Which place in the log the type prints as "Log:term/index".
std::string log_place(const Message& message) {
    if (message.kind == MessageKind::kAppendReply) {
        return number(message.hint_term.value()) + "/" + number(message.index.value());
    }
    if (message.kind == MessageKind::kSnapshot || message.kind == MessageKind::kHeartbeat) {
        return "0/0";
    }
    return number(message.log_term.value()) + "/" + number(message.index.value());
}

}  // namespace

std::string hex(std::uint64_t value) {
    std::array<char, 20> text{};
    std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(value));
    return text.data();
}

std::string type_name(MessageKind kind) {
    switch (kind) {
        case MessageKind::kPreVote: return "MsgPreVote";
        case MessageKind::kPreVoteReply: return "MsgPreVoteResp";
        case MessageKind::kVote: return "MsgVote";
        case MessageKind::kVoteReply: return "MsgVoteResp";
        case MessageKind::kAppend: return "MsgApp";
        case MessageKind::kAppendReply: return "MsgAppResp";
        case MessageKind::kHeartbeat: return "MsgHeartbeat";
        case MessageKind::kHeartbeatReply: return "MsgHeartbeatResp";
        case MessageKind::kSnapshot: return "MsgSnap";
        case MessageKind::kTimeoutNow: return "MsgTimeoutNow";
        case MessageKind::kReadIndex: return "MsgReadIndex";
        case MessageKind::kReadIndexReply: return "MsgReadIndexResp";
        case MessageKind::kWakeUp: return "MsgWakeUp";
    }
    return "?";
}

std::string role_name(Role role) {
    constexpr std::array<const char*, 4> kNames{
        "StateFollower", "StatePreCandidate", "StateCandidate", "StateLeader"};
    return kNames[static_cast<std::size_t>(role)];
}

std::string describe(const Entry& entry) {
    std::string out = number(entry.term.value()) + "/" + number(entry.index.value()) + " ";
    if (entry.kind == EntryKind::kCommand) {
        return out + "EntryNormal " + quoted(entry.data.view());
    }
    const Result<ConfChange> change = decode_conf_change(entry.data);
    if (!change.ok()) {
        return out + "EntryConfChangeV2 " + std::string(change.status().message());
    }
    out += change->context.view() == kVersionOne ? "EntryConfChange" : "EntryConfChangeV2";
    const std::string steps = describe_steps(change->steps);
    return steps.empty() ? out : out + " " + steps;
}

std::string describe(const std::vector<Entry>& entries) {
    std::string out;
    for (const Entry& entry : entries) {
        out += describe(entry) + "\n";
    }
    return out;
}

std::string describe(const ConfState& state) {
    return "Voters:" + id_list(state.voters) + " VotersOutgoing:" + id_list(state.voters_outgoing) +
           " Learners:" + id_list(state.learners) +
           " LearnersNext:" + id_list(state.learners_next) +
           " AutoLeave:" + (state.auto_leave ? "true" : "false");
}

std::string describe(const SnapshotMeta& snapshot) {
    return "Index:" + number(snapshot.index.value()) + " Term:" + number(snapshot.term.value()) +
           " ConfState:" + describe(snapshot.conf);
}

std::string describe(const HardState& state) {
    std::string out = "Term:" + number(state.term.value());
    if (state.vote != kNoNode) {
        out += " Vote:" + number(state.vote.value());
    }
    return out + " Commit:" + number(state.commit.value());
}

std::string describe_entry_list(const std::vector<Entry>& entries, const std::string& indent) {
    if (entries.empty()) {
        return "";
    }
    if (entries.size() == 1) {
        return " Entries:[" + describe(entries[0]) + "]";
    }
    std::string out = " Entries:[";
    for (const Entry& entry : entries) {
        out += "\n" + indent + "  " + describe(entry);
    }
    return out + "\n" + indent + "]";
}

std::string describe(const Message& message, const std::string& indent) {
    std::string out = indent + hex(message.from.value()) + "->" + hex(message.to.value()) + " " +
                      type_name(message.kind) + " Term:" + number(message.term.value()) +
                      " Log:" + log_place(message);
    if (message.reject) {
        out += " Rejected (Hint: " + number(message.hint_index.value()) + ")";
    }
    if (message.commit != Index()) {
        out += " Commit:" + number(message.commit.value());
    }
    out += describe_entry_list(message.entries, indent);
    if (message.snapshot != nullptr && message.snapshot->index != Index()) {
        out += "\n" + indent + "  Snapshot: " + describe(*message.snapshot);
    }
    return out;
}

std::string describe(const SelfAnswer& answer, NodeId id) {
    return hex(id.value()) + "->" + hex(id.value()) + " " + type_name(answer.kind) +
           " Term:" + number(answer.term.value()) + " Log:0/" + number(answer.index.value());
}

std::string describe(const PeerStatus& peer) {
    constexpr std::array<const char*, 3> kStates{"StateProbe", "StateReplicate", "StateSnapshot"};
    std::string out = number(peer.id.value()) + ": " +
                      kStates[static_cast<std::size_t>(peer.state)] +
                      " match=" + number(peer.match.value()) + " next=" + number(peer.next.value());
    out += peer.learner ? " learner" : "";
    out += peer.paused ? " paused" : "";
    if (peer.pending_snapshot != Index()) {
        out += " pendingSnap=" + number(peer.pending_snapshot.value());
    }
    out += peer.recently_active ? "" : " inactive";
    if (peer.inflight_messages > 0) {
        out += " inflight=" + number(peer.inflight_messages);
        out += peer.inflight_full ? "[full]" : "";
    }
    return out;
}

std::vector<ConfStep> parse_steps(const std::string& text) {
    std::vector<ConfStep> steps;
    std::size_t at = 0;
    while (at < text.size()) {
        const char letter = text[at++];
        if (letter == ' ' || letter == '\n') {
            continue;
        }
        std::uint64_t id = 0;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
            id = id * 10 + static_cast<std::uint64_t>(text[at++] - '0');
        }
        switch (letter) {
            case 'v': steps.push_back({ConfOperation::kAddVoter, NodeId(id)}); break;
            case 'l': steps.push_back({ConfOperation::kAddLearner, NodeId(id)}); break;
            case 'r': steps.push_back({ConfOperation::kRemove, NodeId(id)}); break;
            default: steps.push_back({ConfOperation::kAddVoter, kNoNode}); break;  // "u": nothing
        }
    }
    return steps;
}

}  // namespace kvstore::raft::conformance
