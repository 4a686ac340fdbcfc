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
           type == "MsgHeartbeatResp";
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

// ---- Ready ----

void Environment::print_ready(Member& one, const Ready& ready) {
    std::string text;
    bool sync = !ready.append.empty();
    if (ready.soft.has_value()) {
        text += "Lead:" + std::to_string(ready.soft->leader.value()) +
                " State:" + role_name(ready.soft->role) + "\n";
    }
    if (ready.hard.has_value()) {
        text += "HardState " + describe(*ready.hard) + "\n";
        // etcd leaves the syncing of snapshots to the storage: only promises count.
        sync = sync || ready.hard->term != one.shown.term || ready.hard->vote != one.shown.vote;
        one.shown = *ready.hard;
    }
    if (!ready.append.empty()) {
        text += "Entries:\n" + describe(ready.append);
    }
    if (ready.install != nullptr) {
        text += "Snapshot " + describe(*ready.install) + "\n";
    }
    if (!ready.committed.empty()) {
        text += "CommittedEntries:\n" + describe(ready.committed);
    }
    std::string messages;
    for (const Parcel& parcel : network_parcels(ready)) {
        messages += parcel.text + "\n";
    }
    for (const Parcel& parcel : one.forwarded) {
        messages += parcel.text + "\n";
    }
    if (one.async) {
        messages += storage_text(one, ready);
    } else {
        for (const Parcel& parcel : persist_responses(one, ready)) {
            messages += parcel.local ? "" : parcel.text + "\n";
        }
    }
    if (!messages.empty()) {
        text += "Messages:\n" + messages;
    }
    if (text.empty()) {
        print("<empty Ready>\n");
        return;
    }
    print(std::string("Ready MustSync=") + (sync ? "true" : "false") + ":\n" + text);
}

std::vector<Environment::Parcel> Environment::network_parcels(const Ready& ready) const {
    std::vector<Parcel> parcels;
    const auto add = [&parcels](const Message& message) {
        Parcel parcel;
        parcel.from = message.from;
        parcel.to = message.to;
        parcel.type = type_name(message.kind);
        parcel.text = describe(message);
        parcel.message = message;
        parcels.push_back(std::move(parcel));
    };
    for (const Message& message : ready.send_now) {
        add(message);
    }
    for (const Message& message : ready.send_after_persist) {
        if (message.kind == MessageKind::kVote) {
            add(message);
        }
    }
    return parcels;
}

std::vector<Environment::Parcel> Environment::persist_responses(const Member& one,
                                                                const Ready& ready) const {
    std::vector<Parcel> parcels;
    for (const Message& message : ready.send_after_persist) {
        if (message.kind == MessageKind::kVote) {
            continue;
        }
        Parcel parcel;
        parcel.from = message.from;
        parcel.to = message.to;
        parcel.type = type_name(message.kind);
        parcel.text = describe(message);
        parcel.message = message;
        parcels.push_back(std::move(parcel));
    }
    for (const SelfAnswer& answer : ready.self_answers) {
        Parcel parcel;
        parcel.from = parcel.to = one.config.id;
        parcel.type = type_name(answer.kind);
        parcel.text = describe(answer, one.config.id);
        parcel.persisted = ready.seq;
        parcel.local = true;
        parcels.push_back(std::move(parcel));
    }
    const Core& core = one.node->core();
    if (one.async && (core.log.has_tail() || ready.install != nullptr)) {
        Parcel parcel;
        parcel.to = one.config.id;
        parcel.type = "MsgStorageAppendResp";
        const bool tail = core.log.has_tail();
        parcel.text = "AppendThread->" + hex(one.config.id.value()) +
                      " MsgStorageAppendResp Term:" + std::to_string(core.term.value()) +
                      " Log:" + std::to_string(tail ? core.log.last_term().value() : 0) + "/" +
                      std::to_string(tail ? core.log.last_index().value() : 0);
        if (ready.install != nullptr) {
            parcel.text += "\n  Snapshot: " + describe(*ready.install);
        }
        parcel.persisted = ready.seq;
        parcel.local = true;
        parcels.push_back(std::move(parcel));
    }
    return parcels;
}

namespace {

// Vote requests wait for the disk here and not there.
bool needs_write(const Ready& ready) {
    bool answers = !ready.self_answers.empty();
    for (const Message& message : ready.send_after_persist) {
        answers = answers || message.kind != MessageKind::kVote;
    }
    return ready.hard.has_value() || !ready.append.empty() || ready.install != nullptr || answers;
}

std::string append_text(NodeId id, const Ready& ready) {
    std::string text = hex(id.value()) + "->AppendThread MsgStorageAppend Term:" +
                       std::to_string(ready.hard.has_value() ? ready.hard->term.value() : 0) +
                       " Log:0/0";
    if (ready.hard.has_value()) {
        text += ready.hard->commit != Index()
                    ? " Commit:" + std::to_string(ready.hard->commit.value())
                    : "";
        text +=
            ready.hard->vote != kNoNode ? " Vote:" + std::to_string(ready.hard->vote.value()) : "";
    }
    text += describe_entry_list(ready.append);
    if (ready.install != nullptr) {
        text += "\n  Snapshot: " + describe(*ready.install);
    }
    return text;
}

std::string apply_text(NodeId id, const std::vector<Entry>& entries) {
    return hex(id.value()) + "->ApplyThread MsgStorageApply Term:0 Log:0/0" +
           describe_entry_list(entries);
}

std::string applied_text(NodeId id, const std::vector<Entry>& entries, const std::string& indent) {
    return indent + "ApplyThread->" + hex(id.value()) + " MsgStorageApplyResp Term:0 Log:0/0" +
           describe_entry_list(entries, indent);
}

std::string each_indented(const std::string& text) {
    std::string out;
    for (const std::string& line : split_lines(text)) {
        out += "  " + line + "\n";
    }
    return out;
}

}  // namespace

std::string Environment::storage_text(const Member& one, const Ready& ready) const {
    std::string text;
    const NodeId id = one.config.id;
    const std::vector<Parcel> responses = persist_responses(one, ready);
    if (needs_write(ready)) {
        text += append_text(id, ready);
        if (!responses.empty()) {
            text += " Responses:[\n";
            for (const Parcel& parcel : responses) {
                text += each_indented(parcel.text);
            }
            text += "]";
        }
        text += "\n";
    }
    if (!ready.committed.empty()) {
        text += apply_text(id, ready.committed) + " Responses:[\n" +
                applied_text(id, ready.committed, "  ") + "\n]\n";
    }
    return text;
}

void Environment::process_ready(Member& one) {
    Ready ready = one.node->ready();
    print_ready(one, ready);
    for (Parcel& parcel : network_parcels(ready)) {
        parcels_.push_back(std::move(parcel));
    }
    for (Parcel& parcel : std::exchange(one.forwarded, {})) {
        parcels_.push_back(std::move(parcel));
    }
    std::vector<Parcel> responses = persist_responses(one, ready);
    if (one.async) {
        Application application;
        if (!ready.committed.empty()) {
            application.text = apply_text(one.config.id, ready.committed);
            application.response.to = one.config.id;
            application.response.type = "MsgStorageApplyResp";
            application.response.text = applied_text(one.config.id, ready.committed, "");
            application.response.applied = ready.committed.back().index;
            application.response.local = true;
            application.entries = std::move(ready.committed);
            one.applications.push_back(std::move(application));
        }
        if (needs_write(ready)) {
            std::string text = append_text(one.config.id, ready);
            one.writes.push_back({std::move(text), std::move(ready), std::move(responses)});
        }
        return;
    }
    persist(one, ready);
    apply(one, ready.committed);
    for (Parcel& parcel : responses) {
        if (!parcel.local) {
            parcels_.push_back(std::move(parcel));
        }
    }
    one.node->on_persisted(ready.seq);
    if (!ready.committed.empty()) {
        one.node->on_applied(ready.committed.back().index);
    }
}

void Environment::persist(Member& one, const Ready& ready) {
    if (ready.install != nullptr) {
        one.log.install(ready.install);
        one.log.offer(one.history.back());
    }
    one.log.write(ready.append);
}

void Environment::apply(Member& one, const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        auto snapshot = std::make_shared<SnapshotMeta>();
        snapshot->index = entry.index;
        snapshot->term = entry.term;
        snapshot->conf = one.history.back()->conf;
        if (entry.kind == EntryKind::kConfChange) {
            snapshot->conf = one.node->apply_conf_change(decode_conf_change(entry.data).value());
        }
        one.history.push_back(std::move(snapshot));
        one.log.offer(one.history.back());
    }
}

void Environment::process_append_thread(Member& one) {
    if (one.writes.empty()) {
        print("no append work to perform");
        return;
    }
    Write write = std::move(one.writes.front());
    one.writes.pop_front();
    print("Processing:\n" + write.text + "\n");
    persist(one, write.ready);
    print("Responses:\n");
    for (Parcel& parcel : write.responses) {
        print(parcel.text + "\n");
        parcels_.push_back(std::move(parcel));
    }
}

void Environment::process_apply_thread(Member& one) {
    if (one.applications.empty()) {
        print("no apply work to perform");
        return;
    }
    Application application = std::move(one.applications.front());
    one.applications.pop_front();
    print("Processing:\n" + application.text + "\n");
    apply(one, application.entries);
    print("Responses:\n" + application.response.text + "\n");
    parcels_.push_back(std::move(application.response));
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
        one.node->step(*parcel.message);
    } else if (parcel.persisted != 0) {
        one.node->on_persisted(parcel.persisted);
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

void Environment::send_snapshot(Member& from, NodeId to) {
    Message message;
    message.kind = MessageKind::kSnapshot;
    message.group = from.config.group;
    message.from = from.config.id;
    message.to = to;
    message.term = from.node->term();
    message.snapshot = from.history.back();
    Parcel parcel;
    parcel.from = message.from;
    parcel.to = to;
    parcel.type = "MsgSnap";
    parcel.text = describe(message);
    parcel.message = std::move(message);
    print(parcel.text + "\n");
    parcels_.push_back(std::move(parcel));
}

}  // namespace kvstore::raft::conformance
