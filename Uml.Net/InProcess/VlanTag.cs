using System.Buffers.Binary;
using Uml.Net.Frames;
using Uml.Net.Packets;

namespace Uml.Net.InProcess;

/// <summary>Adds and takes away the VLAN tag of a frame (IEEE 802.1Q, 9.6), without copying its data.</summary>
internal sealed class VlanTag
{
    private const int Addresses = 12;
    private const ushort Type = 0x8100;

    private readonly NetFrame _view = new();
    private readonly byte[] _tag = new byte[FrameLayout.VlanTagLength];

    /// <summary>The VLAN in a frame's tag; -1 when it has none.</summary>
    /// <param name="head">The first 18 bytes of the frame, or all that it has.</param>
    public static int Read(ReadOnlySpan<byte> head) =>
        head.Length >= Addresses + FrameLayout.VlanTagLength && BinaryPrimitives.ReadUInt16BigEndian(head[Addresses..]) == Type
            ? BinaryPrimitives.ReadUInt16BigEndian(head[(Addresses + 2)..]) & 0xFFF
            : -1;

    /// <summary>The frame without its tag, until the next call.</summary>
    public NetFrame Strip(NetFrame frame) => Make(frame, Addresses + FrameLayout.VlanTagLength, -FrameLayout.VlanTagLength);

    /// <summary>The frame with a tag, until the next call.</summary>
    public NetFrame Insert(NetFrame frame, int vlan)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_tag, Type);
        BinaryPrimitives.WriteUInt16BigEndian(_tag.AsSpan(2), (ushort)vlan);
        return Make(frame, Addresses, FrameLayout.VlanTagLength);
    }

    private NetFrame Make(NetFrame frame, int behind, int growth)
    {
        _view.Clear();
        _view.AddPart(frame, 0, Addresses);
        if (growth > 0)
        {
            _view.Add(_tag);
        }

        _view.AddPart(frame, behind, frame.Length - behind);
        NetOffload offload = frame.Offload;
        if (!offload.IsComplete)
        {
            offload.ChecksumStart = (ushort)(offload.ChecksumStart + growth);
            offload.HeaderLength = (ushort)(offload.HeaderLength + growth);
        }

        _view.Offload = offload;
        return _view;
    }
}
