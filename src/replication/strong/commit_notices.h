// Holds back what only tells a follower how far the log is committed: the next append or heartbeat
// will say as much.
//
// A leader that commits lets everybody know (thesis 3.5: with the next message). Under load that
// message is a fraction of a millisecond away, and a notice of its own costs each follower a turn
// and an answer, and both ends their system calls. So a notice waits for kHold, and what comes
// later and says as much takes its place. Whoever is told from which index he may serve a read is
// told first how much is committed, or the read would wait for the notice.
#pragma once

#include <map>
#include <utility>

#include "base/id.h"
#include "base/time.h"
#include "env/clock.h"
#include "raft/messages.h"

namespace kvstore::replication {

// Where messages go on to.
class MessageSink {
public:
    virtual void send_now(const raft::Message& message) = 0;

protected:
    ~MessageSink() = default;
};

// Lifetime  Owned by the host.
// Runs on   One core.
// Invariants
//   per group and peer at most one message waits, and for no longer than kHold
//   what is dropped was told by a later message of the same or a later term
class CommitNotices {
public:
    static constexpr Duration kHold = std::chrono::milliseconds(1);

    CommitNotices(env::Clock& clock, MessageSink& sink) : clock_(clock), sink_(sink) {}
    CommitNotices(const CommitNotices&) = delete;
    CommitNotices& operator=(const CommitNotices&) = delete;
    ~CommitNotices() { stop(); }

    // Sends it now, or in a while, or what comes meanwhile in its place.
    void send(const raft::Message& message);
    // Drops what is held. Nothing is held from now on.
    void stop();

private:
    using Way = std::pair<GroupId, NodeId>;
    struct Held {
        raft::Message message;
        MonotonicTime since;
    };

    void hold(const raft::Message& message);
    void let_go();

    env::Clock& clock_;
    MessageSink& sink_;
    std::map<Way, Held> held_;
    env::TimerId timer_;  // 0: nothing is held
    bool is_stopped_ = false;
};

}  // namespace kvstore::replication
