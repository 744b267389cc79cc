using System.Buffers.Binary;
using Uml.Storage.Images;

namespace Uml.Storage.FileSystems.Ext4;

/// <summary>Access control lists as they are on the disk (fs/ext4/acl.h): without the fields that getxattr(2) leaves empty.</summary>
internal static class Ext4AccessList
{
    private const int UserVersion = 2, DiskVersion = 1, UserEntryBytes = 8, DiskEntryBytes = 4;

    /// <summary>ACL_USER and ACL_GROUP, which name somebody.</summary>
    private const int User = 2, Group = 8;

    /// <exception cref="ImageContentException">It is no list.</exception>
    public static byte[] Encode(ReadOnlySpan<byte> list, string name, Func<string> describe)
    {
        if (list.Length < sizeof(int) || (list.Length - sizeof(int)) % UserEntryBytes != 0
            || BinaryPrimitives.ReadInt32LittleEndian(list) != UserVersion)
        {
            throw new ImageContentException($"{describe()} has an access control list '{name}' of {list.Length} bytes that is none of version {UserVersion}.");
        }

        byte[] encoded = new byte[list.Length];
        BinaryPrimitives.WriteInt32LittleEndian(encoded, DiskVersion);
        int place = sizeof(int);
        for (ReadOnlySpan<byte> rest = list[sizeof(int)..]; !rest.IsEmpty; rest = rest[UserEntryBytes..])
        {
            int bytes = BinaryPrimitives.ReadUInt16LittleEndian(rest) is User or Group ? UserEntryBytes : DiskEntryBytes;
            rest[..bytes].CopyTo(encoded.AsSpan(place));
            place += bytes;
        }

        return encoded[..place];
    }
}
