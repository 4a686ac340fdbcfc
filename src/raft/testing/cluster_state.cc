// A cluster as a value: copied, hashed, and told in words.
#include <memory>
#include <string>
#include <vector>

#include "raft/internal/fingerprint.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft::testing {

std::unique_ptr<Cluster> Cluster::clone() const {
    auto copy = std::make_unique<Cluster>(0, config_);
    copy->config_ = config_;
    copy->messages_ = messages_;
    copy->cuts_ = cuts_;
    copy->muted_ = muted_;
    copy->leaders_ = leaders_;
    copy->committed_ = committed_;
    copy->history_ = history_;
    copy->commands_ = commands_;
    copy->proposed_ = proposed_;
    copy->ready_reads_ = ready_reads_;
    copy->acknowledged_ = acknowledged_;
    copy->steps_ = steps_;
    copy->quarantine_allowed_ = quarantine_allowed_;
    copy->failure_ = failure_;
    for (const auto& [id, replica] : replicas_) {
        Replica& twin = copy->replicas_[id];
        twin.config = replica.config;
        twin.log = replica.log;
        twin.hard = replica.hard;
        twin.checkpoint = replica.checkpoint;
        twin.machine = replica.machine;
        twin.writes = replica.writes;
        twin.durable_seq = replica.durable_seq;
        twin.told_seq = replica.told_seq;
        twin.applies = replica.applies;
        twin.reads = replica.reads;
        twin.lives = replica.lives;
        twin.installed = replica.installed;
        if (replica.node.has_value()) {
            twin.node.emplace(replica.node->clone(twin.log));
        }
    }
    return copy;
}

std::uint64_t Cluster::state_hash() const {
    Fingerprint print;
    for (const auto& [id, replica] : replicas_) {
        print.add(replica.node.has_value() ? replica.node->state_hash() : 0);
        print.add(replica.hard.term.value()).add(replica.hard.vote.value());
        print.add(replica.hard.commit.value()).add(replica.machine.index.value());
        print.add(replica.checkpoint.index.value()).add(replica.log.first_index().value());
        for (const Entry& entry : replica.log.all()) {
            print.add(entry);
        }
        print.add(replica.writes.size()).add(replica.applies.size());
    }
    for (const Message& message : messages_) {
        print.add(static_cast<std::uint64_t>(message.kind)).add(message.from.value());
        print.add(message.to.value()).add(message.term.value()).add(message.log_term.value());
        print.add(message.index.value()).add(message.commit.value());
        print.add(message.commit_term.value()).add(message.reject ? 1 : 0);
        print.add(message.hint_index.value()).add(message.hint_term.value());
        for (const Entry& entry : message.entries) {
            print.add(entry);
        }
    }
    return print.value();
}

std::string Cluster::describe() {
    static constexpr const char* kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
    std::string text;
    for (auto& [id, member] : replicas_) {
        text += "n" + std::to_string(id.value()) + " ";
        if (!member.node.has_value()) {
            text += "down\n";
            continue;
        }
        const NodeStatus status = member.node->status();
        text += kRoles[static_cast<std::size_t>(status.soft.role)];
        if (status.soft.role == Role::kFollower) {
            text += "(" + std::to_string(status.soft.leader.value()) + ")";
        }
        text += " term=" + std::to_string(status.hard.term.value());
        text += " last=" + std::to_string(status.last_index.value()) + "/" +
                std::to_string(status.last_term.value());
        text += " commit=" + std::to_string(status.hard.commit.value());
        text += " applied=" + std::to_string(member.machine.index.value());
        const auto list = [&text](const char* name, const std::vector<NodeId>& ids) {
            for (std::size_t i = 0; i < ids.size(); ++i) {
                text += (i == 0 ? name : ",") + std::to_string(ids[i].value());
            }
        };
        list(" voters=", status.conf.voters);
        list(" outgoing=", status.conf.voters_outgoing);
        list(" learners=", status.conf.learners);
        list(" learners_next=", status.conf.learners_next);
        text += status.asleep ? " asleep\n" : "\n";
    }
    return text;
}

}  // namespace kvstore::raft::testing
