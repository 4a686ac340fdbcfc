// The environment's way with a Ready: printed as etcd prints it, and carried out, at once
// or by the two threads of etcd's asynchronous mode.
#include <memory>
#include <utility>

#include "environment.h"
#include "format.h"
#include "raft/conf_change.h"
#include "raft/internal/core.h"

namespace kvstore::raft::conformance {

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
    text += describe_reads(one, ready);
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

// The bytes of a read's name, as Go prints them.
std::string Environment::describe_reads(const Member& one, const Ready& ready) const {
    std::string text;
    for (const ReadyRead& read : ready.reads) {
        std::string bytes;
        for (const char c : read_name(one.config.id, read.token)) {
            bytes += (bytes.empty() ? "" : " ") + std::to_string(static_cast<unsigned char>(c));
        }
        text += (text.empty() ? "{" : " {") + std::to_string(read.at.value()) + " [" + bytes + "]}";
    }
    return text.empty() ? "" : "ReadStates [" + text + "]\n";
}

Environment::Parcel Environment::parcel_of(const Message& message) const {
    Parcel parcel;
    parcel.from = message.from;
    parcel.to = message.to;
    parcel.type = type_name(message.kind);
    parcel.message = message;
    const bool asks = message.kind == MessageKind::kReadIndex;
    if (!asks && message.kind != MessageKind::kReadIndexReply) {
        parcel.text = describe(message);
        return parcel;
    }
    Message shown = message;
    shown.term = asks ? Term() : message.term;
    shown.entries.resize(1);
    shown.entries.front().data =
        Payload::copy_of(read_name(asks ? message.from : message.to, message.read));
    parcel.text = describe(shown);
    return parcel;
}

std::vector<Environment::Parcel> Environment::network_parcels(const Ready& ready) const {
    std::vector<Parcel> parcels;
    const auto add = [this, &parcels](const Message& message) {
        parcels.push_back(parcel_of(message));
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
        parcels.push_back(parcel_of(message));
    }
    for (const SelfAnswer& answer : ready.self_answers) {
        Parcel parcel;
        parcel.from = parcel.to = one.config.id;
        parcel.type = type_name(answer.kind);
        parcel.text = describe(answer, one.config.id);
        parcel.persisted = ready.seq;
        parcel.persisted_in = answer.term;
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
        // Whatever the term, an installed snapshot is.
        parcel.persisted_in = ready.install != nullptr ? Term(UINT64_MAX) : core.term;
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
            strayed_ = strayed_ || one.node->core().reads.pending.size() > 1;
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

}  // namespace kvstore::raft::conformance
