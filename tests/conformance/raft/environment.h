// Plays etcd/raft's interaction scripts on our core.
//
// Where the two cores are cut differently, this environment plays what lies between:
//   - etcd hands its own storage acknowledgements around as messages (MsgStorageAppend,
//     MsgStorageAppendResp, and a member's answers to itself); ours numbers its writes
//     and is told on_persisted(). The messages are printed and carried here.
//   - etcd turns a refused change of membership into an empty entry; ours refuses it to
//     the caller's face, and the environment then proposes the empty entry.
//   - etcd's followers forward proposals to their leader; ours refuse them, since that
//     is the business of the layer above.
//   - etcd does not count a write as durable that ends in a later term; ours does, since it
//     goes by the number of the write. The environment then waits for the next one's end.
//   - etcd's callers name their reads; ours mints tokens. The names are carried here.
//   - etcd sends vote requests before the disk has the vote; ours waits. The
//     environment prints them where etcd does.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data_driven.h"
#include "raft/node.h"
#include "raft/testing/memory_log.h"

namespace kvstore::raft::conformance {

class Environment {
public:
    // What the script expects to be printed.
    std::string handle(const Directive& directive);

    // For whoever invents scripts.
    [[nodiscard]] std::size_t size() const { return members_.size(); }
    [[nodiscard]] const Node& node(std::uint64_t id) const { return *members_.at(id - 1)->node; }
    [[nodiscard]] Index applied(std::uint64_t id) const {
        return members_.at(id - 1)->history.back()->index;
    }
    [[nodiscard]] Index first_index(std::uint64_t id) const {
        return members_.at(id - 1)->log.first_index();
    }
    [[nodiscard]] bool is_async(std::uint64_t id) const { return members_.at(id - 1)->async; }
    // Something happened that the two cores treat differently on purpose (reads: see
    // docs/internals/raft.md); what follows cannot be compared.
    [[nodiscard]] bool has_strayed() const { return strayed_; }
    // Whether a read that reached this member now would be answered as by etcd: whose
    // leaders let it wait for a first commit of the term, count confirmations for each read
    // alone (among three voters the same as ours), ask others even where they are the only
    // voter of both configurations, and ask nobody where another is the only voter.
    [[nodiscard]] static bool serves_read_alike(const Core& core);

private:
    // A message on the network, or one of etcd's local ones, of which there is only the
    // text and what it stands for.
    struct Parcel {
        NodeId from;
        NodeId to;
        std::string type;
        std::string text;
        std::optional<raft::Message> message;
        std::optional<raft::ConfChange> change;  // forwarded to the leader
        std::optional<raft::Payload> command;    // likewise
        std::uint64_t persisted = 0;             // tells the receiver of this write
        Term persisted_in;                       // which etcd takes no word of in a later term
        Index applied;                           // or of this application
        bool local = false;
    };
    struct Write {
        std::string text;
        raft::Ready ready;
        std::vector<Parcel> responses;
    };
    struct Application {
        std::string text;
        std::vector<raft::Entry> entries;
        Parcel response;
    };
    struct Member {
        raft::Config config;
        raft::testing::MemoryLog log;
        std::optional<raft::Node> node;
        bool async = false;
        bool unchecked_changes = false;
        std::deque<Write> writes;
        std::deque<Application> applications;
        std::vector<Parcel> forwarded;  // leaves with the next Ready
        raft::HardState shown;          // the last that was printed
        std::vector<raft::SnapshotRef> history;
    };
    struct Recipient {
        NodeId id;
        bool drop = false;
    };

    void run(const Directive& directive);
    void run_network(const Directive& directive);
    void print(const std::string& text);
    void print_error(const std::string& text);
    template <typename Action>
    void indented(Action&& action);

    void add_members(const Directive& directive);
    void configure(Member& member, const Directive& directive, raft::SnapshotMeta& snapshot);
    void process_ready(Member& member);
    void print_ready(Member& member, const raft::Ready& ready);
    std::vector<Parcel> network_parcels(const raft::Ready& ready) const;
    std::vector<Parcel> persist_responses(const Member& member, const raft::Ready& ready) const;
    std::string describe_reads(const Member& member, const raft::Ready& ready) const;
    std::string storage_text(const Member& member, const raft::Ready& ready) const;
    void persist(Member& member, const raft::Ready& ready);
    void apply(Member& member, const std::vector<raft::Entry>& entries);
    void process_append_thread(Member& member);
    void process_apply_thread(Member& member);
    std::size_t deliver(const std::string& type, const std::vector<Recipient>& recipients);
    void step(const Parcel& parcel);
    void stabilize(const std::vector<std::uint64_t>& ids);
    void propose_command(Member& member, const raft::Payload& command);
    void propose_change(const Directive& directive);
    void propose_change(Member& member, const raft::ConfChange& change);
    bool forward(Member& member, const raft::Entry& entry);
    void print_log(const Member& member);
    void print_states();
    void print_progress(const Member& member);
    void send_snapshot(Member& from, NodeId to);
    void read(Member& member, const std::string& name);
    [[nodiscard]] Parcel parcel_of(const Message& message) const;
    [[nodiscard]] std::string read_name(NodeId reader, ReadToken token) const;

    [[nodiscard]] Member& member(std::uint64_t id) { return *members_.at(id - 1); }
    [[nodiscard]] bool has_parcels_for(NodeId id) const;

    std::vector<std::unique_ptr<Member>> members_;
    std::vector<Parcel> parcels_;
    std::map<std::pair<NodeId, ReadToken>, std::string> read_names_;
    std::string output_;
    bool quiet_ = false;
    bool strayed_ = false;
};

}  // namespace kvstore::raft::conformance
