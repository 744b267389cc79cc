using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Interop;
using Uml.Net.Transports.Descriptors;
using Uml.Net.Transports.Raw;

namespace Uml.Net.Tests.Transports;

/// <summary>The check of classic BPF programs, beside that of the host.</summary>
[TestFixture]
public sealed class BpfTests
{
    public static byte[] Program(params (ushort Code, byte IfTrue, byte IfFalse, uint Operand)[] instructions)
    {
        byte[] program = new byte[instructions.Length * 8];
        for (int i = 0; i < instructions.Length; i++)
        {
            Span<byte> at = program.AsSpan(i * 8);
            BinaryPrimitives.WriteUInt16LittleEndian(at, instructions[i].Code);
            (at[2], at[3]) = (instructions[i].IfTrue, instructions[i].IfFalse);
            BinaryPrimitives.WriteUInt32LittleEndian(at[4..], instructions[i].Operand);
        }

        return program;
    }

    [TestCase(0, "1 to 4096 instructions"), TestCase(7, "1 to 4096"), TestCase(9, "1 to 4096"), TestCase(4097 * 8, "1 to 4096")]
    public void A_program_of_no_length_that_can_be_is_refused(int length, string expected) =>
        Assert.That(() => ClassicBpf.Check(new byte[length]), Throws.TypeOf<NetTransportException>().With.Message.Contains(expected));

    [TestCase(0x00, 0u, 0, 0, "the last instruction has to be a return")]
    [TestCase(0x60, 16u, 0, 0, "uses word 16")]
    [TestCase(0x61, 16u, 0, 0, "uses word 16")]
    [TestCase(0x02, 16u, 0, 0, "uses word 16")]
    [TestCase(0x03, uint.MaxValue, 0, 0, "uses word 4294967295")]
    [TestCase(0x34, 0u, 0, 0, "divides by zero")]
    [TestCase(0x94, 0u, 0, 0, "divides by zero")]
    [TestCase(0x64, 32u, 0, 0, "shifts 32 bits by 32")]
    [TestCase(0x05, 1u, 0, 0, "behind the end")]
    [TestCase(0x05, uint.MaxValue, 0, 0, "behind the end")]
    [TestCase(0x15, 0u, 1, 0, "behind the end")]
    [TestCase(0x15, 0u, 0, 1, "behind the end")]
    [TestCase(0xFF, 0u, 0, 0, "no code 00ffh")]
    [TestCase(0x0106, 0u, 0, 0, "no code 0106h")]
    public void A_program_with_a_fault_is_refused_by_name(int code, uint operand, int ifTrue, int ifFalse, string expected)
    {
        byte[] program = Program(((ushort)code, (byte)ifTrue, (byte)ifFalse, operand), expected.Contains("last") ? ((ushort)code, (byte)0, (byte)0, 0u) : ((ushort)0x06, (byte)0, (byte)0, 0u));
        Assert.That(() => ClassicBpf.Check(program), Throws.TypeOf<NetTransportException>().With.Message.Contains(expected).And.Message.Contains("instruction "));
    }

    [Test]
    public void Memory_is_read_only_where_every_way_has_written_it()
    {
        // One way of the jump stores word 3, the other does not.
        byte[] bad = Program((0x15, 1, 0, 0), (0x02, 0, 0, 3), (0x60, 0, 0, 3), (0x16, 0, 0, 0)),
            good = Program((0x15, 2, 0, 0), (0x02, 0, 0, 3), (0x05, 0, 0, 1), (0x03, 0, 0, 3), (0x61, 0, 0, 3), (0x16, 0, 0, 0));
        Assert.That(() => ClassicBpf.Check(bad), Throws.TypeOf<NetTransportException>().With.Message.Contains("word 3").And.Message.Contains("instruction 2"));
        Assert.That(() => ClassicBpf.Check(good), Throws.Nothing);
    }

    /// <summary>No program passes ours that the host refuses, and of those with known codes none the other way around.</summary>
    [Test]
    public void Ours_refuses_what_the_host_refuses()
    {
        using TransportScope scope = new(null);
        using Microsoft.Win32.SafeHandles.SafeFileHandle socket = HostSocket.Open(scope, Socket.FamilyIp4, Socket.Datagram, 0);
        Random random = new(7);
        Dictionary<int, string> disagreements = [];
        for (int code = 0; code < 0x200; code++)
        {
            for (int i = 0; i < 24; i++)
            {
                uint operand = i < 12 ? (uint)random.Next(0, 40) : (uint)random.Next();
                byte[] program = Program(((ushort)code, (byte)random.Next(3), (byte)random.Next(3), operand), (0x06, 0, 0, 0), (0x06, 0, 0, 0));
                bool ours = IsTaken(() => ClassicBpf.Check(program)), hosts = IsTaken(() => PacketSocket.Attach(socket, program));
                if (ours != hosts)
                {
                    disagreements[code] = $"{code:x2}h with {operand}: ours {ours}, the host {hosts}";
                }
            }
        }

        Assert.That(disagreements.Values, Is.Empty);
    }

    private static bool IsTaken(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (NetTransportException)
        {
            return false;
        }
    }
}
