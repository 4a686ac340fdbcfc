#include "environment.h"

#include <algorithm>
#include <utility>

#include "format.h"
#include "raft/conf_change.h"
#include "raft/internal/core.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft::conformance {

namespace {

constexpr const char* kDropped = "raft proposal dropped";

// Those that etcd's RawNode takes from members of the configuration alone.
bool is_response(const std::string& type) {
    return type == "MsgAppResp" || type == "MsgVoteResp" || type == "MsgPreVoteResp" ||
           type == "MsgHeartbeatResp" || type == "MsgReadIndexResp";
}

// etcd's requests bear no term, and its candidates let answers fall.
bool is_disputed(const Core& core, const Message& message) {
    switch (message.kind) {
        case MessageKind::kReadIndex:
            return message.term != core.term || !Environment::serves_read_alike(core);
        case MessageKind::kReadIndexReply:
            return message.term == core.term && core.role != Role::kFollower;
        default: return false;
    }
}

}  // namespace

void Environment::print(const std::string& text) {
    if (!quiet_) {
        output_ += text;
    }
}

// Errors are told even where everything else is silenced.
void Environment::print_error(const std::string& text) {
    output_ += text + "\n";
}

template <typename Action>
void Environment::indented(Action&& action) {
    std::string outer = std::exchange(output_, {});
    action();
    for (const std::string& line : split_lines(output_)) {
        outer += "  " + line + "\n";
    }
    output_ = std::move(outer);
}

bool Environment::serves_read_alike(const Core& core) {
    constexpr std::size_t kFew = 3;
    const std::size_t voters = core.voters().ids().size();
    const bool odd = voters == 1 && (core.voters().joint() || !core.voters().contains(core.id()));
    return core.is_leader() && core.log.matches(core.log.committed(), core.term) && !odd &&
           (core.reads.pending.empty() || (voters > 1 && voters <= kFew));
}

std::string Environment::handle(const Directive& directive) {
    output_.clear();
    run(directive);
    return without_log_lines(output_);
}

void Environment::run(const Directive& directive) {
    const std::vector<std::uint64_t> numbers = directive.numbers();
    const std::string& command = directive.command;
    if (command == "add-nodes") {
        add_members(directive);
    } else if (command == "campaign") {
        member(numbers.at(0)).node->campaign();
    } else if (command == "propose") {
        propose_command(member(numbers.at(0)), Payload::copy_of(directive.arguments.at(1).key));
    } else if (command == "propose-conf-change") {
        propose_change(directive);
    } else if (command == "tick-heartbeat" || command == "tick-election") {
        Member& one = member(numbers.at(0));
        const std::uint32_t ticks =
            command == "tick-election" ? one.config.election_ticks : one.config.heartbeat_ticks;
        for (std::uint32_t i = 0; i < ticks; ++i) {
            one.node->tick();
        }
    } else if (command == "set-randomized-election-timeout") {
        member(numbers.at(0))
            .node->set_election_timeout(
                static_cast<std::uint32_t>(std::stoul(directive.find("timeout")->values.at(0))));
    } else if (command == "transfer-leadership") {
        const std::uint64_t from = std::stoull(directive.find("from")->values.at(0));
        const NodeId heir(std::stoull(directive.find("to")->values.at(0)));
        static_cast<void>(member(from).node->transfer_leader(heir));
    } else if (command == "read-index") {
        read(member(numbers.at(0)), directive.arguments.at(1).key);
    } else if (command == "forget-leader") {
        static_cast<void>(member(numbers.at(0)).node->forget_leader());
    } else if (command == "report-unreachable") {
        member(numbers.at(0)).node->report_unreachable(NodeId(numbers.at(1)));
    } else if (command == "log-level") {
        quiet_ = directive.arguments.at(0).key == "none";
    } else {
        run_network(directive);
    }
}

void Environment::run_network(const Directive& directive) {
    const std::vector<std::uint64_t> numbers = directive.numbers();
    const std::string& command = directive.command;
    const auto each = [&](const char* title, auto&& action) {
        for (const std::uint64_t id : numbers) {
            if (numbers.size() == 1) {
                action(member(id));
                continue;
            }
            print("> " + std::to_string(id) + " " + title + "\n");
            indented([&] { action(member(id)); });
        }
    };
    if (command == "process-ready") {
        each("handling Ready", [this](Member& one) { process_ready(one); });
    } else if (command == "process-append-thread") {
        each("processing append thread", [this](Member& one) { process_append_thread(one); });
    } else if (command == "process-apply-thread") {
        each("processing apply thread", [this](Member& one) { process_apply_thread(one); });
    } else if (command == "stabilize") {
        const bool was_quiet = quiet_;
        if (const Argument* level = directive.find("log-level")) {
            quiet_ = level->values.at(0) == "none";
        }
        stabilize(numbers);
        quiet_ = was_quiet;
    } else if (command == "deliver-msgs") {
        std::vector<Recipient> recipients;
        for (const std::uint64_t id : numbers) {
            recipients.push_back({NodeId(id), false});
        }
        if (const Argument* drop = directive.find("drop")) {
            for (const std::string& id : drop->values) {
                recipients.push_back({NodeId(std::stoull(id)), true});
            }
        }
        const Argument* type = directive.find("type");
        if (deliver(type != nullptr ? type->values.at(0) : "", recipients) == 0) {
            print("no messages\n");
        }
    } else if (command == "send-snapshot") {
        send_snapshot(member(numbers.at(0)), NodeId(numbers.at(1)));
    } else if (command == "compact") {
        Member& one = member(numbers.at(0));
        one.log.compact(Index(numbers.at(1)));
        print_log(one);
    } else if (command == "raft-log") {
        print_log(member(numbers.at(0)));
    } else if (command == "raft-state") {
        print_states();
    } else if (command == "status") {
        print_progress(member(numbers.at(0)));
    } else {
        print_error("unknown command");
    }
}

void Environment::configure(Member& one, const Directive& directive, SnapshotMeta& snapshot) {
    one.config.group = GroupId(1);
    one.config.election_ticks = 3;
    one.config.heartbeat_ticks = 1;
    one.config.append_bytes_max = SIZE_MAX;
    one.config.apply_bytes_max = SIZE_MAX;
    one.config.uncommitted_bytes_max = SIZE_MAX;
    one.config.inflight_messages_max = INT32_MAX;
    one.config.inflight_bytes_max = 0;
    one.config.pre_vote = false;
    one.config.check_quorum = false;
    one.config.step_down_on_removal = false;
    one.config.commit_in_votes = false;
    one.config.coalesce_appends = false;
    for (const Argument& argument : directive.arguments) {
        for (const std::string& value : argument.values) {
            const bool on = value == "true";
            if (argument.key == "voters") {
                snapshot.conf.voters.emplace_back(std::stoull(value));
            } else if (argument.key == "learners") {
                snapshot.conf.learners.emplace_back(std::stoull(value));
            } else if (argument.key == "index") {
                snapshot.index = Index(std::stoull(value));
                snapshot.term = Term(1);
            } else if (argument.key == "inflight") {
                one.config.inflight_messages_max = static_cast<std::uint32_t>(std::stoul(value));
            } else if (argument.key == "async-storage-writes") {
                one.async = on;
            } else if (argument.key == "prevote") {
                one.config.pre_vote = on;
            } else if (argument.key == "checkquorum") {
                one.config.check_quorum = on;
            } else if (argument.key == "max-committed-size-per-ready") {
                one.config.apply_bytes_max = std::stoull(value);
            } else if (argument.key == "disable-conf-change-validation") {
                one.unchecked_changes = on;
            } else if (argument.key == "read-only") {
                one.config.reads = value == "lease-based" ? ReadMode::kLease : ReadMode::kQuorum;
            } else if (argument.key == "step-down-on-removal") {
                one.config.step_down_on_removal = on;
            }
        }
    }
    one.config.apply = one.async ? ApplyMode::kAfterPersist : ApplyMode::kWithPersist;
}

void Environment::add_members(const Directive& directive) {
    const std::uint64_t count = directive.numbers().at(0);
    for (std::uint64_t i = 0; i < count; ++i) {
        auto one = std::make_unique<Member>();
        auto snapshot = std::make_shared<SnapshotMeta>();
        configure(*one, directive, *snapshot);
        one->config.id = NodeId(members_.size() + 1);
        one->config.seed = one->config.id.value();
        if (snapshot->index != Index()) {
            one->log.install(snapshot);
        }
        one->history.push_back(snapshot);
        one->log.offer(snapshot);
        const HardState hard{.term = Term(), .vote = kNoNode, .commit = snapshot->index};
        one->node.emplace(one->config, one->log, Recovered{hard, snapshot->conf, snapshot->index});
        members_.push_back(std::move(one));
    }
}

// ---- network ----

bool Environment::has_parcels_for(NodeId id) const {
    return std::any_of(
        parcels_.begin(), parcels_.end(), [id](const Parcel& parcel) { return parcel.to == id; });
}

std::size_t Environment::deliver(const std::string& type,
                                 const std::vector<Recipient>& recipients) {
    std::size_t count = 0;
    for (const Recipient& recipient : recipients) {
        std::vector<Parcel> taken;
        std::vector<Parcel> left;
        for (Parcel& parcel : parcels_) {
            const bool local = parcel.local && recipient.drop;
            const bool wanted =
                parcel.to == recipient.id && !local && (type.empty() || parcel.type == type);
            (wanted ? taken : left).push_back(std::move(parcel));
        }
        parcels_ = std::move(left);
        count += taken.size();
        for (const Parcel& parcel : taken) {
            print((recipient.drop ? "dropped: " : "") + parcel.text + "\n");
            if (!recipient.drop) {
                step(parcel);
            }
        }
    }
    return count;
}

void Environment::step(const Parcel& parcel) {
    Member& one = member(parcel.to.value());
    if (is_response(parcel.type) && one.node->core().peers().find(parcel.from) == nullptr) {
        print("raft: cannot step as peer not found\n");
        // The write is durable all the same.
        if (parcel.persisted != 0) {
            one.node->on_persisted(parcel.persisted);
        }
        return;
    }
    if (parcel.change.has_value()) {
        propose_change(one, *parcel.change);
    } else if (parcel.command.has_value()) {
        propose_command(one, *parcel.command);
    } else if (parcel.message.has_value()) {
        strayed_ = strayed_ || is_disputed(one.node->core(), *parcel.message);
        one.node->step(*parcel.message);
    } else if (parcel.persisted != 0) {
        if (parcel.persisted_in >= one.node->term()) {
            one.node->on_persisted(parcel.persisted);
        }
    } else {
        one.node->on_applied(parcel.applied);
    }
}

void Environment::stabilize(const std::vector<std::uint64_t>& ids) {
    std::vector<Member*> chosen;
    for (const auto& one : members_) {
        if (ids.empty() || std::find(ids.begin(), ids.end(), one->config.id.value()) != ids.end()) {
            chosen.push_back(one.get());
        }
    }
    bool busy = true;
    const auto titled = [&](const Member& one, const char* title, auto&& action) {
        busy = true;
        print("> " + std::to_string(one.config.id.value()) + " " + title + "\n");
        indented(action);
    };
    while (busy) {
        busy = false;
        for (Member* one : chosen) {
            if (one->node->has_ready() || !one->forwarded.empty()) {
                titled(*one, "handling Ready", [&] { process_ready(*one); });
            }
        }
        for (Member* one : chosen) {
            const NodeId id = one->config.id;
            if (has_parcels_for(id)) {
                titled(*one, "receiving messages", [&] { deliver("", {{id, false}}); });
            }
        }
        for (Member* one : chosen) {
            if (!one->writes.empty()) {
                titled(*one, "processing append thread", [&] {
                    while (!one->writes.empty()) {
                        process_append_thread(*one);
                    }
                });
            }
        }
        for (Member* one : chosen) {
            if (!one->applications.empty()) {
                titled(*one, "processing apply thread", [&] {
                    while (!one->applications.empty()) {
                        process_apply_thread(*one);
                    }
                });
            }
        }
    }
}

// ---- the rest ----

bool Environment::forward(Member& one, const Entry& entry) {
    const NodeId leader = one.node->leader();
    if (one.node->is_leader() || leader == kNoNode) {
        return false;
    }
    Parcel parcel;
    parcel.from = one.config.id;
    parcel.to = leader;
    parcel.type = "MsgProp";
    parcel.text = hex(parcel.from.value()) + "->" + hex(leader.value()) +
                  " MsgProp Term:0 Log:0/0" + describe_entry_list({entry});
    if (entry.kind == EntryKind::kConfChange) {
        parcel.change = decode_conf_change(entry.data).value();
    } else {
        parcel.command = entry.data;
    }
    one.forwarded.push_back(std::move(parcel));
    return true;
}

void Environment::propose_command(Member& one, const Payload& command) {
    const std::vector<Payload> commands{command};
    if (!one.node->propose(commands).ok() &&
        !forward(one, {Term(), Index(), EntryKind::kCommand, command})) {
        print_error(kDropped);
    }
}

void Environment::propose_change(const Directive& directive) {
    ConfChange change;
    change.steps = parse_steps(directive.input);
    if (const Argument* transition = directive.find("transition")) {
        const std::string& value = transition->values.at(0);
        change.transition = value == "implicit"   ? Transition::kJoint
                            : value == "explicit" ? Transition::kJointExplicit
                                                  : Transition::kAutomatic;
    }
    const Argument* v1 = directive.find("v1");
    if (v1 != nullptr && v1->values.at(0) == "true") {
        change.context = Payload::copy_of(kVersionOne);
    }
    propose_change(member(directive.numbers().at(0)), change);
}

void Environment::propose_change(Member& one, const ConfChange& change) {
#ifdef KVSTORE_RAFT_MUTANTS
    // etcd can be told not to check a change when it is proposed. Ours cannot, but for the
    // planted bug of that name.
    const Mutant before = active_mutant;
    active_mutant = one.unchecked_changes ? Mutant::kConfChangeUnchecked : before;
#endif
    const Status status = one.node->propose_conf_change(change).status();
#ifdef KVSTORE_RAFT_MUTANTS
    active_mutant = before;
#endif
    if (status.ok()) {
        return;
    }
    if (status.code() == Code::kConflict || status.code() == Code::kInvalidArgument) {
        const std::vector<Payload> nothing(1);
        if (!one.node->propose(nothing).ok()) {
            print_error(kDropped);
        }
    } else if (status.code() != Code::kNotLeader ||
               !forward(one,
                        {Term(), Index(), EntryKind::kConfChange, encode_conf_change(change)})) {
        print_error(kDropped);
    }
}

void Environment::print_log(const Member& one) {
    if (one.log.last_index() < one.log.first_index()) {
        print("log is empty: first index=" + std::to_string(one.log.first_index().value()) +
              ", last index=" + std::to_string(one.log.last_index().value()) + "\n");
        return;
    }
    print(describe(one.log.all()));
}

void Environment::print_states() {
    for (const auto& one : members_) {
        const NodeStatus status = one->node->status();
        const bool voter = one->node->core().voters().contains(status.id);
        print(std::to_string(status.id.value()) + ": " + role_name(status.soft.role) +
              (voter ? " (Voter)" : " (Non-Voter)") +
              " Term:" + std::to_string(status.hard.term.value()) +
              " Lead:" + std::to_string(status.soft.leader.value()) + "\n");
    }
}

void Environment::print_progress(const Member& one) {
    if (!one.node->is_leader()) {
        return;
    }
    for (const PeerStatus& peer : one.node->status().peers) {
        print(describe(peer) + "\n");
    }
}

void Environment::read(Member& one, const std::string& name) {
    strayed_ = strayed_ || (one.node->is_leader() && !serves_read_alike(one.node->core()));
    const Result<ReadToken> token = one.node->read_index();
    if (token.ok()) {
        read_names_[{one.config.id, *token}] = name;
    }
}

std::string Environment::read_name(NodeId reader, ReadToken token) const {
    return read_names_.at({reader, token});
}

void Environment::send_snapshot(Member& from, NodeId to) {
    Message message;
    message.kind = MessageKind::kSnapshot;
    message.group = from.config.group;
    message.from = from.config.id;
    message.to = to;
    message.term = from.node->term();
    message.snapshot = from.history.back();
    parcels_.push_back(parcel_of(message));
    print(parcels_.back().text + "\n");
}

}  // namespace kvstore::raft::conformance
