#include "replication/strong/outcome_codec.h"

#include <cstdint>

#include "base/coding.h"
#include "wire/status.h"

namespace kvstore::replication {
namespace {

constexpr std::uint8_t kFormat = 1;
enum class Item : std::uint8_t { kOperation = 1, kCommand = 2 };

constexpr std::uint8_t kChanged = 1;
constexpr std::uint8_t kHadPrevious = 2;
constexpr std::uint8_t kPreviousFollows = 4;
constexpr std::uint8_t kOperationFlags = 7;
constexpr std::uint8_t kConditionsHeld = 1;
constexpr std::uint8_t kCommandChanged = 2;
constexpr std::uint8_t kCommandFlags = 3;

Status unreadable() {
    return {Code::kCorruption, "unreadable outcome of a forwarded command"};
}

bool replay_operation(Decoder& decoder, std::size_t at, mvcc::ApplySink* sink) {
    mvcc::OperationResult result;
    result.code = wire::code_of_number(decoder.fixed<std::uint8_t>());
    const auto flags = decoder.fixed<std::uint8_t>();
    result.changed = (flags & kChanged) != 0;
    result.had_previous = (flags & kHadPrevious) != 0;
    result.number = zigzag_decode(decoder.varint());
    result.text = decoder.length_prefixed();
    if ((flags & kPreviousFollows) != 0) {
        result.previous = mvcc::decode_record(decoder.length_prefixed());
        if (!result.previous) {
            return false;
        }
    }
    if (!decoder.ok() || (flags & ~kOperationFlags) != 0) {
        return false;
    }
    if (sink != nullptr) {
        sink->on_operation(at, result);
    }
    return true;
}

bool replay_command(Decoder& decoder, mvcc::ApplySink* sink) {
    mvcc::CommandResult result;
    const auto flags = decoder.fixed<std::uint8_t>();
    result.conditions_held = (flags & kConditionsHeld) != 0;
    result.changed = (flags & kCommandChanged) != 0;
    result.revision = Revision(decoder.varint());
    result.stamp = Version(decoder.varint());
    if (!decoder.at_end() || (flags & ~kCommandFlags) != 0) {
        return false;
    }
    if (sink != nullptr) {
        sink->on_command(result);
    }
    return true;
}

}  // namespace

OutcomeWriter::OutcomeWriter(std::size_t bytes_max) : bytes_max_(bytes_max) {
    put_fixed(bytes_, kFormat);
}

void OutcomeWriter::on_operation(std::size_t /*at*/, const mvcc::OperationResult& result) {
    // Their heads are a few dozen bytes each, for which there is room to spare.
    const std::size_t size =
        result.text.size() + (result.previous ? result.previous->value.size() : 0);
    is_whole_ = is_whole_ && bytes_.size() + size <= bytes_max_;
    if (!is_whole_) {
        return;
    }
    put_fixed(bytes_, Item::kOperation);
    put_fixed(bytes_, wire::code_number(result.code));
    const unsigned flags = (result.changed ? kChanged : 0U) |
                           (result.had_previous ? kHadPrevious : 0U) |
                           (result.previous ? kPreviousFollows : 0U);
    put_fixed(bytes_, static_cast<std::uint8_t>(flags));
    put_varint(bytes_, zigzag_encode(result.number));
    put_length_prefixed(bytes_, result.text);
    if (result.previous) {
        const mvcc::RecordHead head(*result.previous);
        put_varint(bytes_, head.bytes().size() + result.previous->value.size());
        bytes_.append(head.bytes());
        bytes_.append(result.previous->value);
    }
}

void OutcomeWriter::on_command(const mvcc::CommandResult& result) {
    put_fixed(bytes_, Item::kCommand);
    const unsigned flags =
        (result.conditions_held ? kConditionsHeld : 0U) | (result.changed ? kCommandChanged : 0U);
    put_fixed(bytes_, static_cast<std::uint8_t>(flags));
    put_varint(bytes_, result.revision.value());
    put_varint(bytes_, result.stamp.raw());
}

Status replay_outcome(ByteView bytes, mvcc::ApplySink* sink) {
    Decoder decoder(bytes);
    if (decoder.fixed<std::uint8_t>() != kFormat) {
        return unreadable();
    }
    for (std::size_t at = 0; decoder.ok() && !decoder.at_end(); ++at) {
        const auto item = decoder.fixed<Item>();
        if (item == Item::kCommand) {
            return replay_command(decoder, sink) ? Status() : unreadable();
        }
        if (item != Item::kOperation || !replay_operation(decoder, at, sink)) {
            return unreadable();
        }
    }
    return unreadable();
}

}  // namespace kvstore::replication
