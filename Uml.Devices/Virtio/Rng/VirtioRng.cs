using System.Buffers.Binary;
using System.Security.Cryptography;
using Uml.Core.Snapshots;
using Uml.Devices.Virtio.Device;
using Uml.Devices.Virtio.Queue;

namespace Uml.Devices.Virtio.Rng;

/// <summary>
/// A source of entropy (virtio 1.2, 5.4): the host's; in virtual time numbers that are the same in every run, and no secret.
/// </summary>
internal sealed class VirtioRng : VirtioDevice
{
    private const ushort DeviceType = 4, QueueSize = 64;

    /// <summary>Bytes of an answer; a limit of ours, which no driver has reason to exceed.</summary>
    private const int MaximumAnswer = 4096;

    private readonly VirtqueueChain _chain = new();
    private readonly byte[] _answer = new byte[MaximumAnswer];
    private ulong _state;

    public override ushort Type => DeviceType;

    /// <summary>No class of its own (PCI Code and ID Assignment Specification, FFH).</summary>
    public override uint PciClass => 0xFF_00_00;

    public override ulong OwnFeatures => 0;

    public override int ConfigurationLength => 0;

    protected override ReadOnlySpan<ushort> QueueSizes => [QueueSize];

    public override void ReadConfiguration(Span<byte> configuration)
    {
    }

    protected override void OnNotified(int queue)
    {
        SplitQueue requests = Queues[queue];
        do
        {
            while (requests.TryPop(_chain))
            {
                Span<byte> answer = _answer.AsSpan(0, Math.Min(_chain.WritableLength, MaximumAnswer));
                Fill(answer);
                _chain.Write(Transport.Machine.Memory, 0, answer);
                requests.Push(_chain.Head, answer.Length);
            }

            requests.RequestNotification();
        }
        while (requests.HasAvailable);

        if (requests.TakeInterrupt())
        {
            Transport.InterruptQueue(queue);
        }
    }

    protected override void OnReset() => _state = 0;

    protected override void SaveOwnState(StateWriter state) => state.Write(_state);

    protected override void RestoreOwnState(StateReader state) => _state = state.ReadUInt64();

    private void Fill(Span<byte> answer)
    {
        if (!Transport.Machine.Clock.IsVirtual)
        {
            RandomNumberGenerator.Fill(answer);
            return;
        }

        Span<byte> word = stackalloc byte[sizeof(ulong)];
        for (int done = 0; done < answer.Length; done += sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(word, Next());
            word[..Math.Min(sizeof(ulong), answer.Length - done)].CopyTo(answer[done..]);
        }
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).</summary>
    private ulong Next()
    {
        ulong mixed = _state += 0x9E37_79B9_7F4A_7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58_476D_1CE4_E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB;
        return mixed ^ (mixed >> 31);
    }
}
