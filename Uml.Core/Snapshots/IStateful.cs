namespace Uml.Core.Snapshots;

/// <summary>Something whose state can be saved and restored.</summary>
public interface IStateful
{
    /// <summary>Writes the whole state, its version first. Changes nothing.</summary>
    void SaveState(StateWriter state);

    /// <summary>
    /// Takes a state that <see cref="SaveState"/> wrote, in this program or another. What is read may come from anyone: values are checked
    /// before they are used. Acts on nothing else, since everything around it is restored as well: no interrupt is raised, no output sent.
    /// </summary>
    /// <exception cref="StateFormatException">
    /// The state is damaged, or of a version that is not known. What was restored so far stays; whoever restores gives the whole up.
    /// </exception>
    void RestoreState(StateReader state);
}
