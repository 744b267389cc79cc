using System.Buffers;
using Uml.Core.Machine;
using Uml.Core.Snapshots;

namespace Uml.Core.Tests.Snapshots;

[TestFixture]
public sealed class StateTests
{
    [Test]
    public void Values_come_back_in_the_order_they_were_written()
    {
        StateReader reader = Write(state =>
        {
            state.WriteVersion(3);
            state.Write(true);
            state.Write((byte)0xFE);
            state.Write((ushort)0xFEDC);
            state.Write(0xFEDC_BA98u);
            state.Write(-5);
            state.Write(ulong.MaxValue - 1);
            state.Write(long.MinValue);
            state.WriteBlob([1, 2, 3]);
            state.Write([4, 5]);
        });
        Assert.That(reader.ReadVersion(newest: 4), Is.EqualTo(3));
        Assert.That(reader.ReadBoolean(), Is.True);
        Assert.That(reader.ReadByte(), Is.EqualTo(0xFE));
        Assert.That(reader.ReadUInt16(), Is.EqualTo(0xFEDC));
        Assert.That(reader.ReadUInt32(), Is.EqualTo(0xFEDC_BA98u));
        Assert.That(reader.ReadInt32(), Is.EqualTo(-5));
        Assert.That(reader.ReadUInt64(), Is.EqualTo(ulong.MaxValue - 1));
        Assert.That(reader.ReadInt64(), Is.EqualTo(long.MinValue));
        Assert.That(reader.ReadBlob(10).ToArray(), Is.EqualTo(new byte[] { 1, 2, 3 }));
        byte[] rest = new byte[2];
        reader.ReadBytes(rest);
        Assert.That(rest, Is.EqualTo(new byte[] { 4, 5 }));
        Assert.That(reader.End, Throws.Nothing);
    }

    [Test]
    public void Bytes_are_little_endian()
    {
        ArrayBufferWriter<byte> output = new();
        StateWriter state = new(output);
        state.Write(0x0403_0201u);
        state.Write(0x0C0B_0A09_0807_0605ul);
        Assert.That(output.WrittenSpan.ToArray(), Is.EqualTo(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }));
        Assert.That(state.Length, Is.EqualTo(12));
    }

    [Test]
    public void An_unknown_version_is_refused_with_both_numbers() =>
        Assert.That(() => Write(state => state.WriteVersion(7)).ReadVersion(newest: 6), Refused("version 7 is not known; known are 1 to 6"));

    [Test]
    public void A_state_where_there_is_none_and_none_where_there_is_one_are_refused()
    {
        Assert.That(() => Write(state => state.WriteVersion(1)).ReadNone(), Refused("version 1 for a device that has none"));
        Assert.That(() => Write(state => state.WriteNone()).ReadVersion(newest: 1), Refused("version 0"));
        Assert.That(() => Write(state => state.WriteNone()).ReadNone(), Throws.Nothing);
        Assert.That(() => Write(state => state.WriteVersion(0)), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void What_is_missing_is_counted() =>
        Assert.That(() => Read(1, 2, 3).ReadUInt64(), Refused("'pit' is not valid at byte 0 of 3: of 8 bytes, 3 are there"));

    [Test]
    public void What_is_left_over_is_counted() => Assert.That(() => Read(1, 2, 3).End(), Refused("3 bytes are left over"));

    [Test]
    public void A_value_out_of_range_is_shown_with_the_range()
    {
        Assert.That(() => Read(2).ReadBoolean(), Refused("at byte 0 of 1: 2 is not one of 0 to 1"));
        Assert.That(() => Read(0xFF, 0xFF, 0xFF, 0xFF).ReadInt32(0, 16), Refused("-1 is not one of 0 to 16"));
        Assert.That(() => Read(5, 0).ReadUInt16(6, 9), Refused("5 is not one of 6 to 9"));
    }

    [TestCase(17)]
    [TestCase(-1)]
    [TestCase(int.MaxValue)]
    [TestCase(int.MinValue)]
    public void A_length_is_not_trusted(int length) =>
        Assert.That(() => Read(BitConverter.GetBytes(length)).ReadBlob(16), Refused("is not one of 0 to 16"));

    [Test]
    public void A_length_within_its_limit_and_beyond_the_bytes_is_refused() =>
        Assert.That(() => Read(16, 0, 0, 0, 1).ReadBlob(16), Refused("of 16 bytes, 1 are there"));

    [Test]
    public void A_device_that_writes_nothing_has_forgotten_its_state() =>
        Assert.That(() => DeviceState.Save(new Forgetful()), Throws.InvalidOperationException.With.Message.Contains("'forgetful' saved nothing"));

    private static NUnit.Framework.Constraints.ContainsConstraint Refused(string words) =>
        Throws.InstanceOf<StateFormatException>().With.Message.Contains(words);

    private static StateReader Read(params byte[] bytes) => new(bytes, "pit");

    private static StateReader Write(Action<StateWriter> write)
    {
        ArrayBufferWriter<byte> output = new();
        write(new StateWriter(output));
        return new StateReader(output.WrittenMemory, "pit");
    }

    private sealed class Forgetful : IMachineDevice
    {
        public string Id => "forgetful";

        public void Attach(IMachineContext machine)
        {
        }

        public void Detach()
        {
        }

        public void Reset()
        {
        }

        public void SaveState(StateWriter state)
        {
        }

        public void RestoreState(StateReader state)
        {
        }
    }
}
