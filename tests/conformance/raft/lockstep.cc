// Runs our core and the real etcd/raft side by side on scripts that chance invents, and
// compares what both print after every directive:
//
//     raft_lockstep <oracle> [--steps N] [--seed S]
//
// A difference is cut down to a short script in the corpus' own format.
//
// What differs on purpose (docs/internals/raft.md) is not asked for: a change of
// membership before the first commit of a term, one that would leave no voters,
// proposals on followers. Where the two order the messages of one Ready differently, or
// a read meets what they treat differently, the script ends and a new one begins.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

#include "base/random.h"
#include "data_driven.h"
#include "environment.h"
#include "format.h"
#include "raft/internal/core.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft::conformance {

namespace {

struct Line {
    std::string command;
    std::string input;
};

// The real etcd/raft in a child process.
class Oracle {
public:
    explicit Oracle(const char* program) {
        int down[2];
        int up[2];
        if (pipe(down) != 0 || pipe(up) != 0) {
            std::abort();
        }
        if (fork() == 0) {
            dup2(down[0], STDIN_FILENO);
            dup2(up[1], STDOUT_FILENO);
            close(down[1]);
            close(up[0]);
            execl(program, program, static_cast<char*>(nullptr));
            _exit(127);
        }
        close(down[0]);
        close(up[1]);
        to_ = fdopen(down[1], "w");
        from_ = fdopen(up[0], "r");
    }

    std::string handle(const Line& line) {
        std::fprintf(to_, "%s\n", line.command.c_str());
        if (!line.input.empty()) {
            std::fprintf(to_, "%s\n", line.input.c_str());
        }
        std::fprintf(to_, "----\n");
        std::fflush(to_);
        std::string out;
        std::string text;
        for (int c = std::fgetc(from_); c != EOF; c = std::fgetc(from_)) {
            text.push_back(static_cast<char>(c));
            if (c == '\n') {
                if (text == "----\n") {
                    return without_log_lines(out);
                }
                out += text;
                text.clear();
            }
        }
        std::fprintf(stderr, "the oracle ended\n");
        std::exit(2);
    }

private:
    std::FILE* to_ = nullptr;
    std::FILE* from_ = nullptr;
};

enum class Outcome { kEqual, kReordered, kStrayed, kDifferent };

// "3" of "1->3 MsgApp ..."; empty for what is no message.
std::string receiver_of(const std::string& text) {
    const std::size_t arrow = text.find("->");
    return arrow == std::string::npos ? ""
                                      : text.substr(arrow + 2, text.find(' ', arrow) - arrow - 2);
}

// Each receiver's messages in their order, and the other lines. Between receivers there
// is no order: one member's may be told before another's or after.
std::map<std::string, std::string> by_receiver(const std::string& text) {
    std::map<std::string, std::string> out;
    std::string receiver;
    for (const std::string& line : split_lines(text)) {
        const std::size_t indent = line.find_first_not_of(' ');
        const bool goes_on = line.find("Entry") != std::string::npos || line.find(']') == indent;
        if (!goes_on || !receiver_of(line).empty()) {
            receiver = receiver_of(line);
        }
        out[receiver] += line + "\n";
    }
    return out;
}

Outcome compare(const Environment& environment,
                const std::string& ours,
                const std::string& theirs) {
    if (environment.has_strayed()) {
        return Outcome::kStrayed;
    }
    if (ours == theirs || by_receiver(ours) == by_receiver(theirs)) {
        return Outcome::kEqual;
    }
    std::vector<std::string> a = split_lines(ours);
    std::vector<std::string> b = split_lines(theirs);
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b ? Outcome::kReordered : Outcome::kDifferent;
}

// One directive in both. Election timeouts are drawn by each for itself, so both are told
// one before time passes.
struct Answer {
    std::string ours;
    std::string theirs;
};

Answer ask(Oracle& oracle, Environment& ours, const Line& line) {
    if (line.command.starts_with("tick-")) {
        const std::string id = line.command.substr(line.command.find(' '));
        const Line timeout{"set-randomized-election-timeout" + id + " timeout=5", ""};
        oracle.handle(timeout);
        ours.handle(parse_directive(timeout.command, ""));
    }
    return {ours.handle(parse_directive(line.command, line.input)), oracle.handle(line)};
}

// Invents the next directive from where our members stand.
class Author {
public:
    explicit Author(std::uint64_t seed) : random_(seed) {}

    Line first() {
        const std::uint64_t nodes = random_.chance(1, 3) ? 5 : 3;
        const bool learns = random_.chance(1, 4);
        std::string voters;
        for (std::uint64_t i = 1; i <= nodes; ++i) {
            voters += (i > 1 ? "," : "") + std::to_string(i);
        }
        std::string line = "add-nodes " + std::to_string(learns ? nodes + 1 : nodes) + " voters=(" +
                           voters + ") index=10";
        line += learns ? " learners=(" + std::to_string(nodes + 1) + ")" : "";
        // A pre-vote that is won ends a term between the answers to one write, which ours
        // does not tell apart.
        const bool async = random_.chance(1, 4);
        line += async ? " async-storage-writes=true" : random_.chance(1, 2) ? " prevote=true" : "";
        line += random_.chance(1, 2) ? " checkquorum=true" : "";
        line += random_.chance(1, 3) ? " inflight=3" : "";
        line += random_.chance(1, 2) ? " step-down-on-removal=true" : "";
        return {line, ""};
    }

    std::vector<Line> next(const Environment& environment) {
        const std::string id = std::to_string(1 + random_.below(environment.size()));
        const std::string other = std::to_string(1 + random_.below(environment.size()));
        const std::uint64_t leader = leader_of(environment);
        const std::uint64_t choice = random_.below(100);
        if (leader == 0 && choice < 15) {
            return {{"campaign " + id, ""}};
        }
        if (leader != 0 && choice < 34) {
            return with_leader(environment, leader, choice, other);
        }
        if (choice < 37) {
            return read(environment, id);
        }
        if (environment.is_async(1) && choice < 47) {
            return {{(choice < 42 ? "process-append-thread " : "process-apply-thread ") + id, ""}};
        }
        if (choice < 55) {
            return {{"process-ready " + id, ""}};
        }
        if (choice < 75) {
            return {{"deliver-msgs " + id, ""}};
        }
        if (choice < 80 && !environment.is_async(1)) {
            return {{"deliver-msgs " + id + " type=" + kind_of_message(), ""}};
        }
        if (choice < 84) {
            return {{"deliver-msgs drop=(" + id + ")", ""}};
        }
        if (choice < 88) {
            return {{"tick-heartbeat " + id, ""}};
        }
        if (choice < 90) {
            return {{"campaign " + id, ""}};
        }
        if (choice < 91) {
            return {{"forget-leader " + id, ""}};
        }
        if (choice < 94) {
            return {{"stabilize", ""}};
        }
        return {{choice < 96 ? "raft-state" : choice < 98 ? "raft-log " + id : "status " + id, ""}};
    }

private:
    static std::uint64_t leader_of(const Environment& environment) {
        std::uint64_t found = 0;
        for (std::uint64_t id = 1; id <= environment.size(); ++id) {
            if (environment.node(id).is_leader() &&
                (found == 0 || environment.node(id).term() > environment.node(found).term())) {
                found = id;
            }
        }
        return found;
    }

    // One kind of message overtakes all others. Not where a member's answers to itself
    // are messages too, which ours learns of together.
    std::string kind_of_message() {
        static constexpr const char* kKinds[] = {"MsgApp",
                                                 "MsgAppResp",
                                                 "MsgHeartbeat",
                                                 "MsgHeartbeatResp",
                                                 "MsgVote",
                                                 "MsgVoteResp",
                                                 "MsgPreVoteResp",
                                                 "MsgSnap"};
        return kKinds[random_.below(std::size(kKinds))];
    }

    // Whoever leads must answer it as etcd would, at least if it were asked now.
    std::vector<Line> read(const Environment& environment, const std::string& id) {
        const Node& reader = environment.node(std::stoull(id));
        if (reader.leader() != kNoNode) {
            const Core& core = environment.node(reader.leader().value()).core();
            if (core.term != reader.term() || !Environment::serves_read_alike(core)) {
                return {{"process-ready " + id, ""}};
            }
        }
        return {{"read-index " + id + " r" + std::to_string(++reads_), ""}};
    }

    std::vector<Line> with_leader(const Environment& environment,
                                  std::uint64_t leader,
                                  std::uint64_t choice,
                                  const std::string& other) {
        const std::string id = std::to_string(leader);
        const Core& core = environment.node(leader).core();
        const Index cut = environment.applied(leader);
        if (choice < 10 && cut > environment.first_index(leader).next() &&
            someone_lacks(core, previous(cut))) {
            return {{"compact " + id + " " + std::to_string(previous(cut).value()), ""}};
        }
        if (choice < 20) {
            return {{"propose " + id + " prop_" + std::to_string(++proposals_), ""}};
        }
        if (choice < 26) {
            return {{"tick-heartbeat " + id, ""}};
        }
        // A transfer can keep a joint configuration from being left, until which ours tries
        // again when the transfer is given up.
        const bool changing = core.voters().joint() || core.pending_conf_index > core.log.applied();
        if (choice < 27 && !changing) {
            return {{"transfer-leadership from=" + id + " to=" + other, ""}};
        }
        if (choice < 28) {
            return {{"report-unreachable " + id + " " + other, ""}};
        }
        if (choice < 30) {
            return {{"tick-election " + id, ""}};
        }
        const bool own = core.log.matches(core.log.committed(), core.term);
        if (choice < 32 && own && core.heir == kNoNode) {
            const std::string change = steps(core, leader);
            return {{"propose-conf-change " + id + (change.empty() ? "" : transition()), change}};
        }
        if (choice < 33 && other != id) {
            return {{"send-snapshot " + id + " " + other, ""}};
        }
        return {{"process-ready " + id, ""}};
    }

    // Whether cutting the log there leaves a peer that needs a snapshot.
    static bool someone_lacks(const Core& core, Index index) {
        return std::any_of(core.peers().begin(), core.peers().end(), [index](const auto& peer) {
            return peer.progress.next() <= index;
        });
    }

    std::string transition() {
        switch (random_.below(3)) {
            case 0: return "";
            case 1: return " transition=implicit";
            default: return " transition=explicit";
        }
    }

    // Some voter is left, without which etcd panics.
    std::string steps(const Core& core, std::uint64_t leader) {
        if (core.voters().joint() && random_.chance(2, 3)) {
            return "";
        }
        std::string out;
        for (std::uint64_t i = random_.between(1, 2); i > 0; --i) {
            const std::uint64_t target = 1 + random_.below(5);
            const char* kinds = "vlr";
            const char kind = target == leader ? 'v' : kinds[random_.below(3)];
            out += (out.empty() ? "" : " ") + std::string(1, kind) + std::to_string(target);
        }
        ConfChange change;
        change.steps = parse_steps(out);
        Membership trial = core.membership;
        const Status fits = apply_change(trial, change, core.newcomer());
        return fits.code() == Code::kInvalidArgument ? "v" + std::to_string(leader) : out;
    }

    Random random_;
    std::uint64_t proposals_ = 0;
    std::uint64_t reads_ = 0;
};

// How often what matters was met, for whoever wonders whether it was.
struct Tally {
    std::string_view word;
    const char* name;
    std::uint64_t answers = 0;
};

// Whether the script still ends in a difference.
bool differs(Oracle& oracle, const std::vector<Line>& script, std::string* report) {
    Environment ours;
    oracle.handle({"reset", ""});
    for (const Line& line : script) {
        const auto [mine, theirs] = ask(oracle, ours, line);
        const Outcome outcome = compare(ours, mine, theirs);
        if (report != nullptr) {
            *report += line.command + "\n" + (line.input.empty() ? "" : line.input + "\n") +
                       "----\n" + theirs + "\n";
        }
        if (outcome == Outcome::kDifferent) {
            if (report != nullptr) {
                *report += "# ours:\n" + mine;
            }
            return true;
        }
        if (outcome != Outcome::kEqual || theirs.find("panic") != std::string::npos) {
            return false;
        }
    }
    return false;
}

void minimize(Oracle& oracle, std::vector<Line> script) {
    for (std::size_t i = script.size(); i-- > 1;) {
        std::vector<Line> shorter = script;
        shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
        if (differs(oracle, shorter, nullptr)) {
            script = std::move(shorter);
        }
    }
    std::string report;
    differs(oracle, script, &report);
    std::printf("%s\n", report.c_str());
}

int run(int argc, char** argv) {
    std::uint64_t steps_max = 100'000;
    std::uint64_t seed = 1;
    for (int i = 2; i + 1 < argc; i += 2) {
        (std::string_view(argv[i]) == "--steps" ? steps_max : seed) =
            std::strtoull(argv[i + 1], nullptr, 10);
    }
    // etcd does not let vote requests wait for the disk. Their place among the messages of
    // a Ready shows, so here ours does not either.
    active_mutant = Mutant::kCandidacyWithUnpersistedTail;
    Oracle oracle(argv[1]);
    std::uint64_t steps = 0;
    std::uint64_t scripts = 0;
    std::uint64_t reordered = 0;
    std::uint64_t strayed = 0;
    std::array<Tally, 5> tallies{{{"CommittedEntries", "commits"},
                                  {"MsgSnap", "snapshots"},
                                  {"EntryConfChange", "changes"},
                                  {"MsgTimeoutNow", "transfers"},
                                  {"ReadStates", "reads"}}};
    for (; steps < steps_max; ++seed, ++scripts) {
        constexpr std::size_t kScriptLength = 150;
        Author author(seed);
        std::vector<Line> script{author.first()};
        oracle.handle({"reset", ""});
        Environment ours;
        for (std::size_t at = 0; script.size() < kScriptLength;) {
            for (; at < script.size(); ++at, ++steps) {
                const Line line = script[at];
                const auto [mine, theirs] = ask(oracle, ours, line);
                const Outcome outcome = compare(ours, mine, theirs);
                for (Tally& tally : tallies) {
                    tally.answers += theirs.find(tally.word) != std::string::npos ? 1 : 0;
                }
                if (outcome == Outcome::kDifferent) {
                    std::printf("seed %llu differs after %llu steps\n",
                                static_cast<unsigned long long>(seed),
                                static_cast<unsigned long long>(steps));
                    script.resize(at + 1);
                    minimize(oracle, script);
                    return 1;
                }
                if (outcome != Outcome::kEqual) {
                    ++(outcome == Outcome::kStrayed ? strayed : reordered);
                    script.resize(kScriptLength);
                    break;
                }
            }
            if (script.size() >= kScriptLength) {
                break;
            }
            for (Line& line : author.next(ours)) {
                script.push_back(std::move(line));
            }
        }
    }
    std::printf(
        "raft lockstep: %llu steps in %llu scripts equal, %llu ended by a different order, "
        "%llu by a read that etcd treats differently\n",
        static_cast<unsigned long long>(steps),
        static_cast<unsigned long long>(scripts),
        static_cast<unsigned long long>(reordered),
        static_cast<unsigned long long>(strayed));
    std::printf("among what was compared:");
    for (const Tally& tally : tallies) {
        std::printf(" %s %llu", tally.name, static_cast<unsigned long long>(tally.answers));
    }
    std::printf("\n");
    return 0;
}

}  // namespace

}  // namespace kvstore::raft::conformance

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: raft_lockstep <oracle> [--steps N] [--seed S]\n");
        return 2;
    }
    return kvstore::raft::conformance::run(argc, argv);
}
