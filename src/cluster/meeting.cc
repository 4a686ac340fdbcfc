#include "cluster/meeting.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/parse.h"

namespace kvstore::cluster {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kTakesPart = 1;
constexpr Duration kAnswerPatience = std::chrono::seconds(1);
constexpr Duration kPause = std::chrono::milliseconds(200);
constexpr int kRoundsBetweenWords = 25;

struct Answer {
    NodeId number;
    std::uint64_t store = 0;
    bool takes_part = false;
    std::string name;
};

Result<Answer> decode_answer(ByteView bytes) {
    Decoder decoder(bytes);
    const std::uint64_t format = decoder.varint();
    Answer answer;
    answer.number = NodeId(decoder.varint());
    answer.store = decoder.fixed<std::uint64_t>();
    answer.takes_part = (decoder.varint() & kTakesPart) != 0;
    answer.name = decoder.length_prefixed();
    if (!decoder.ok() || format != kFormat) {
        return Status(Code::kCorruption, "an unreadable answer");
    }
    return answer;
}

// Takes one founder's answer in. Errors: kInvalidArgument: it is somebody else's.
Status take_answer(const Answer& answer, Founder& founder) {
    if (answer.name != founder.name || answer.number != founder.number) {
        return {Code::kInvalidArgument,
                "initial_cluster: at " + founder.address.to_string() + " answers node '" +
                    answer.name + "', not '" + founder.name +
                    "'; the list must be the same on every node"};
    }
    founder.store = answer.store;
    return {};
}

}  // namespace

void number_founders(std::vector<Founder>& founders) {
    std::ranges::sort(founders, {}, &Founder::name);
    for (std::size_t i = 0; i < founders.size(); ++i) {
        founders[i].number = NodeId(i + 1);
    }
}

std::uint64_t cluster_id_for(const std::vector<Founder>& founders) {
    std::string text;
    for (const Founder& founder : founders) {
        text += founder.name + "=" + founder.address.to_string() + ",";
    }
    // Never 0, which means "of none".
    const std::uint64_t low = crc32c(text);
    const std::uint64_t high = crc32c(text + "kvstore");
    return (high << 32U) | low | 1U;
}

std::string encode_founding(const std::vector<Founder>& founders) {
    std::string text;
    for (const Founder& founder : founders) {
        text += (text.empty() ? "" : ",") + std::to_string(founder.number.value()) + ":" +
                std::to_string(founder.store) + ":" + founder.name + "=" +
                founder.address.to_string();
    }
    return text;
}

Result<std::vector<Founder>> decode_founding(std::string_view text) {
    std::vector<Founder> founders;
    // Takes what stands before `mark`, and both out of `from`.
    const auto take = [](std::string_view& from, char mark) {
        const std::size_t at = std::min(from.find(mark), from.size());
        const std::string_view part = from.substr(0, at);
        from.remove_prefix(std::min(at + 1, from.size()));
        return part;
    };
    while (!text.empty()) {
        std::string_view part = take(text, ',');
        const auto number = parse_uint64(take(part, ':'));
        const auto store = parse_uint64(take(part, ':'));
        const std::string_view name = take(part, '=');
        const Result<env::Address> address = env::Address::parse(part);
        if (!number || !store || !address.ok()) {
            return Status(Code::kCorruption, "the data directory's list of founders is unreadable");
        }
        founders.push_back({.number = NodeId(*number),
                            .name = std::string(name),
                            .address = *address,
                            .store = *store});
    }
    return founders;
}

// ---- answering ----

void MeetingService::on_messages(NodeId /*from*/, rpc::Received /*messages*/) {}

void MeetingService::on_call(NodeId /*from*/, rpc::Received /*request*/, rpc::Responder responder) {
    Bytes answer;
    put_varint(answer, kFormat);
    put_varint(answer, self_.number.value());
    put_fixed(answer, self_.store);
    put_varint(answer, is_taking_part_ ? kTakesPart : 0);
    put_length_prefixed(answer, self_.name);
    responder.answer(answer);
}

async::Task<Result<Bytes>> MeetingService::on_stream(
    NodeId /*from*/, Bytes /*header*/, std::unique_ptr<rpc::IncomingStream> /*stream*/) {
    co_return Status(Code::kUnimplemented, "a meeting has no streams");
}

// ---- asking ----

async::Task<Result<std::vector<Founder>>> meet(env::Env* env,
                                               rpc::Transport* transport,
                                               std::vector<Founder> founders,
                                               NodeId self) {
    for (int round = 0;; ++round) {
        std::string missing;
        for (Founder& founder : founders) {
            if (founder.number == self || founder.store != 0) {
                continue;
            }
            const async::Deadline deadline{.at = env->clock.now() + kAnswerPatience};
            auto called =
                co_await transport->call_address(founder.address, kMeetingTopic, Bytes(), deadline);
            // Known with another data directory, or as one that was replaced since.
            if (called.status().code() == Code::kConflict ||
                called.status().code() == Code::kPermissionDenied) {
                co_return Status(Code::kConflict, std::string(called.status().message()));
            }
            Result<Answer> answer =
                called.ok() ? decode_answer(called->bytes) : Result<Answer>(called.status());
            if (!answer.ok()) {
                missing += (missing.empty() ? "" : "; ") + founder.name + " (" +
                           founder.address.to_string() +
                           "): " + std::string(answer.status().message());
                continue;
            }
            KVSTORE_CO_CHECK_OK(take_answer(*answer, founder));
        }
        if (missing.empty()) {
            co_return founders;
        }
        if (round % kRoundsBetweenWords == 0) {
            log_info("waiting for the other nodes of initial_cluster", {{"missing", missing}});
        }
        co_await env->clock.sleep(kPause);
    }
}

}  // namespace kvstore::cluster
