#include "raft/conf_change.h"

#include "base/assert.h"

namespace kvstore::raft {

namespace {

constexpr char kFormat = 1;
constexpr std::size_t kHeaderSize = 4;
constexpr std::size_t kStepSize = 9;

bool is_leave(const ConfChange& change) {
    return change.steps.empty() && change.context.empty() &&
           change.transition == Transition::kAutomatic;
}

Result<ConfStep> decode_step(ByteView bytes) {
    const auto operation = static_cast<std::uint8_t>(bytes[0]);
    if (operation > static_cast<std::uint8_t>(ConfOperation::kRemove)) {
        return Status(Code::kCorruption, "configuration change: unknown operation");
    }
    std::uint64_t node = 0;
    for (std::size_t i = kStepSize; i-- > 1;) {
        node = (node << 8U) | static_cast<std::uint8_t>(bytes[i]);
    }
    return ConfStep{static_cast<ConfOperation>(operation), NodeId(node)};
}

}  // namespace

Payload encode_conf_change(const ConfChange& change) {
    KVSTORE_ASSERT(change.steps.size() <= kConfStepsMax);
    if (is_leave(change)) {
        return {};
    }
    Bytes out;
    out.reserve(kHeaderSize + kStepSize * change.steps.size() + change.context.size());
    out.push_back(kFormat);
    out.push_back(static_cast<char>(change.transition));
    out.push_back(static_cast<char>(change.steps.size() & 0xffU));
    out.push_back(static_cast<char>(change.steps.size() >> 8U));
    for (const ConfStep& step : change.steps) {
        out.push_back(static_cast<char>(step.operation));
        for (unsigned shift = 0; shift < 64; shift += 8) {
            out.push_back(static_cast<char>((step.node.value() >> shift) & 0xffU));
        }
    }
    out.append(change.context.view());
    return Payload::copy_of(out);
}

Result<ConfChange> decode_conf_change(const Payload& payload) {
    const ByteView bytes = payload.view();
    ConfChange change;
    if (bytes.empty()) {
        return change;
    }
    if (bytes.size() < kHeaderSize || bytes[0] != kFormat ||
        static_cast<std::uint8_t>(bytes[1]) >
            static_cast<std::uint8_t>(Transition::kJointExplicit)) {
        return Status(Code::kCorruption, "configuration change: bad header");
    }
    change.transition = static_cast<Transition>(bytes[1]);
    const std::size_t count = static_cast<std::uint8_t>(bytes[2]) +
                              (static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[3])) << 8U);
    if (count > kConfStepsMax || bytes.size() < kHeaderSize + count * kStepSize) {
        return Status(Code::kCorruption, "configuration change: cut off");
    }
    change.steps.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        KVSTORE_TRY(ConfStep step, decode_step(bytes.substr(kHeaderSize + i * kStepSize)));
        change.steps.push_back(step);
    }
    change.context = Payload::copy_of(bytes.substr(kHeaderSize + count * kStepSize));
    return change;
}

}  // namespace kvstore::raft
