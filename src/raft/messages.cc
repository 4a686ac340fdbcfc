#include "raft/messages.h"

namespace kvstore::raft {

std::string_view message_kind_name(MessageKind kind) noexcept {
    switch (kind) {
        case MessageKind::kPreVote: return "pre-vote";
        case MessageKind::kPreVoteReply: return "pre-vote reply";
        case MessageKind::kVote: return "vote";
        case MessageKind::kVoteReply: return "vote reply";
        case MessageKind::kAppend: return "append";
        case MessageKind::kAppendReply: return "append reply";
        case MessageKind::kHeartbeat: return "heartbeat";
        case MessageKind::kHeartbeatReply: return "heartbeat reply";
        case MessageKind::kSnapshot: return "snapshot";
        case MessageKind::kTimeoutNow: return "timeout now";
        case MessageKind::kReadIndex: return "read index";
        case MessageKind::kReadIndexReply: return "read index reply";
        case MessageKind::kWakeUp: return "wake up";
    }
    return "unknown";
}

}  // namespace kvstore::raft
